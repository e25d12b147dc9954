package configs_test

import (
	"testing"
	"time"

	"spillway/configs"
)

func TestSize_ReadsNginxGrammar(t *testing.T) {
	f := func(in string, want configs.Size) {
		t.Helper()
		if got, err := configs.ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
	f("0", 0)
	f("512", 512)
	f("010", 10)
	f("8k", 8192)
	f("8K", 8192)
	f("1m", 1<<20)
	f("1024m", 1<<30)
	f("2G", 2<<30)
	f("8589934591g", 8589934591<<30)
}

func TestSize_RefusesOtherForms(t *testing.T) {
	for _, in := range []string{"", "k", "8kb", "8 k", "-1", "+1", "1.5m", "0x10", "1_000", "8t", "8589934592g", "99999999999999999999"} {
		if got, err := configs.ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q): got %d, want an error", in, got)
		}
	}
}

func TestDuration_ReadsNginxGrammar(t *testing.T) {
	f := func(in string, want time.Duration) {
		t.Helper()
		if got, err := configs.ParseDuration(in); err != nil || time.Duration(got) != want {
			t.Errorf("ParseDuration(%q): got %v, %v, want %v", in, time.Duration(got), err, want)
		}
	}
	f("0", 0)
	f("60", time.Minute)
	f("060s", time.Minute)
	f("500ms", 500*time.Millisecond)
	f("1m30s", 90*time.Second)
	f("1m 30s", 90*time.Second)
	f("1h30", time.Hour+30*time.Second)
	f("1d12h", 36*time.Hour)
	f("1s500ms", 1500*time.Millisecond)
	f("1w", 168*time.Hour)
	f("1M", 720*time.Hour)
	f("1y", 8760*time.Hour)
}

func TestDuration_RefusesOtherForms(t *testing.T) {
	for _, in := range []string{"", " ", "s", "-1s", "1.5s", "1sec", "30s1m", "1m1m", "5 5", "1us", "99999999999h", "293y", "1mm"} {
		if got, err := configs.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q): got %v, want an error", in, got)
		}
	}
}

func TestSizeAndDuration_AreWrittenShort(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(configs.Size(0).String(), "0")
	f(configs.Size(1000).String(), "1000")
	f((8 * configs.KiB).String(), "8k")
	f((3 * configs.MiB).String(), "3m")
	f((1024 * configs.MiB).String(), "1g")
	f(configs.Duration(0).String(), "0s")
	f(configs.Duration(90*time.Second).String(), "90s")
	f(configs.Duration(36*time.Hour).String(), "36h")
	f(configs.Duration(1500*time.Millisecond).String(), "1500ms")
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"8k", "1024m", "0", "9g", "8kb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := configs.ParseSize(s)
		if err != nil {
			return
		}
		if again, err := configs.ParseSize(v.String()); v < 0 || err != nil || again != v {
			t.Errorf("%q is %d, written %q, which is %d, %v", s, v, v, again, err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"60s", "1m30s", "500ms", "1h 30", "1y1M1w1d", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := configs.ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := configs.ParseDuration(v.String()); v < 0 || err != nil || again != v {
			t.Errorf("%q is %d, written %q, which is %d, %v", s, v, v, again, err)
		}
	})
}
