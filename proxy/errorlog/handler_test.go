package errorlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"unicode/utf8"

	"spillway/proxy/errorlog"
	"spillway/proxy/logfile"
)

func TestHandler_KeepsTheContractOfSlog(t *testing.T) {
	out := &bytes.Buffer{}
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return handler(t, errorlog.Options{Out: out, Level: errorlog.LevelInfo, Format: errorlog.JSON})
	}, func(t *testing.T) map[string]any {
		t.Helper()
		flat := map[string]any{}
		if err := json.Unmarshal(out.Bytes(), &flat); err != nil {
			t.Fatal(err)
		}
		nested := map[string]any{}
		for key, value := range flat {
			at, names := nested, strings.Split(key, ".")
			for _, name := range names[:len(names)-1] {
				inner, ok := at[name].(map[string]any)
				if !ok {
					inner = map[string]any{}
					at[name] = inner
				}
				at = inner
			}
			at[names[len(names)-1]] = value
		}
		return nested
	})
}

func TestHandler_Levels(t *testing.T) {
	f := func(name string, level slog.Level) {
		t.Helper()
		got, err := errorlog.ParseLevel(name)
		if err != nil || got != level {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, level)
		}
		if text := line(t, errorlog.Nginx, level, "x"); !strings.Contains(text, " ["+name+"] ") {
			t.Errorf("%s: got line %s", name, text)
		}
	}
	f("debug", errorlog.LevelDebug)
	f("info", errorlog.LevelInfo)
	f("notice", errorlog.LevelNotice)
	f("warn", errorlog.LevelWarn)
	f("error", errorlog.LevelError)
	f("crit", errorlog.LevelCrit)
	f("alert", errorlog.LevelAlert)
	f("emerg", errorlog.LevelEmerg)
	if _, err := errorlog.ParseLevel("warning"); err == nil {
		t.Error("warning: got nil, want an error")
	}
	log := slog.New(handler(t, errorlog.Options{Out: &bytes.Buffer{}, Level: errorlog.LevelWarn}))
	if log.Enabled(t.Context(), errorlog.LevelNotice) || !log.Enabled(t.Context(), errorlog.LevelWarn) {
		t.Error("the level is not that of the options")
	}
}

func TestHandler_ExchangeOfWithAttrs(t *testing.T) {
	out := &bytes.Buffer{}
	log := slog.New(handler(t, errorlog.Options{Out: out, PID: 1}))
	log.With("exchange", sample(), "attempt", 2).WithGroup("g").Error("something", "a", 1)
	if want := "*967 something, attempt: 2, g.a: 1, " + who + ", "; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s in it", out, want)
	}
}

// The id of an incident is the last part of nginx's line, so that expressions for the parts before it still match, and a key
// of the object.
func TestHandler_IDOfAnIncident(t *testing.T) {
	why := slog.Group("exchange", "conn", 7, "client", "10.0.0.7", "server", "s", "host", "h", "referrer", "http://h/", "why", "k7m39pqx")
	f := func(format errorlog.Format, want string) {
		t.Helper()
		if got := line(t, format, errorlog.LevelError, "no live upstreams", why); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	f(errorlog.Nginx, `, host: "h", referrer: "http://h/", why: "k7m39pqx"`)
	f(errorlog.JSON, `"referrer":"http://h/","why":"k7m39pqx"`)
}

// counter counts writes and keeps the last one.
type counter struct {
	mu     sync.Mutex
	writes int
	last   string
}

func (c *counter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.last = string(b)
	return len(b), nil
}

func TestHandler_WritesARecordAtOnce(t *testing.T) {
	for _, format := range []errorlog.Format{errorlog.Nginx, errorlog.JSON} {
		out := &counter{}
		log := slog.New(handler(t, errorlog.Options{Out: out, Format: format}))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					log.Error("peer failed", "exchange", sample(), "err", strings.Repeat("x", 300))
				}
			})
		}
		wg.Wait()
		if out.writes != 800 {
			t.Errorf("format %d: got %d writes, want 800", format, out.writes)
		}
	}
}

func TestHandler_CutsLongLines(t *testing.T) {
	out := &counter{}
	nginx := slog.New(handler(t, errorlog.Options{Out: out}))
	nginx.Error("peer failed", "exchange", sample(), "err", strings.Repeat("ä", 1<<20))
	if len(out.last) > 2048 || len(out.last) < 2040 || !utf8.ValidString(out.last) || !strings.HasSuffix(out.last, lineEnd) {
		t.Errorf("got %d bytes: %s", len(out.last), out.last)
	}

	for _, text := range []string{"ä", "\x01", "\xff"} { // what an application says leaves room for who was served then
		nginx.Error("process stderr", "exchange", sample(), "text", strings.Repeat(text, 1<<20))
		if len(out.last) < 1024 || !strings.Contains(out.last, `..."`) || !strings.Contains(out.last, `, host: "`) {
			t.Errorf("got %d bytes: %s", len(out.last), out.last)
		}
	}

	object := slog.New(handler(t, errorlog.Options{Out: out, Format: errorlog.JSON}))
	args := []any{"exchange", sample()}
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		args = append(args, key, strings.Repeat("\x01", 1<<20))
	}
	object.Error("process stderr", args...)
	got := map[string]any{}
	if err := json.Unmarshal([]byte(out.last), &got); err != nil || len(out.last) > 16<<10 {
		t.Errorf("got %d bytes, %v", len(out.last), err)
	}
	if got["cut"] != true || got["client"] != "10.10.0.182" {
		t.Errorf("got %v", got)
	}
}

func TestLost_FillsTheGapOfALogFile(t *testing.T) {
	for format, want := range map[errorlog.Format]string{
		errorlog.Nginx: "log lines lost, lines: 1", errorlog.JSON: `"level":"alert","msg":"log lines lost","lines":1}`,
	} {
		out := &bytes.Buffer{}
		out.Write(errorlog.Lost(format)([]byte("before\n"), 1, nil))
		if !strings.HasPrefix(out.String(), "before\n") || !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out, want)
		}
	}
	w, err := logfile.Open(logfile.Options{
		Path: filepath.Join(t.TempDir(), "error.log"), Lost: errorlog.Lost(errorlog.Nginx),
	})
	if err != nil {
		t.Fatal(err)
	}
	slog.New(handler(t, errorlog.Options{Out: w})).Error("x")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNew_NeedsAnOutput(t *testing.T) {
	if _, err := errorlog.New(errorlog.Options{}); err == nil {
		t.Error("got nil, want an error")
	}
}

// Whatever is logged: one line, no control byte, not too long, and JSON is JSON.
func FuzzHandler(f *testing.F) {
	f.Add("peer failed", "err", "a\nb\x1b[31m\x00\x7f", "/x\"y\\")
	f.Add("process stderr", "text", "\xff\xfe\u0085\u2028", "/")
	f.Add("request refused", "phase", "{err}[x", "")
	f.Add("other", "k\ney", strings.Repeat("é", 3000), strings.Repeat("\x01", 3000))
	f.Fuzz(func(t *testing.T, message, key, value, target string) {
		ex := sample()
		ex.Target = []byte(target)
		ex.Request.SetHost(value)
		for format, limit := range map[errorlog.Format]int{errorlog.Nginx: 2048, errorlog.JSON: 16 << 10} {
			out := &counter{}
			r := slog.NewRecord(when(), errorlog.LevelError, message, 0)
			r.AddAttrs(slog.Any("exchange", ex), slog.String(key, value), slog.String("scheme", "http"),
				slog.String("peer", value), slog.String("uri", target), slog.Any("err", errors.New(value)))
			if err := handler(t, errorlog.Options{Out: out, Format: format}).Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if out.writes != 1 || len(out.last) > limit {
				t.Errorf("got %d writes, %d bytes", out.writes, len(out.last))
			}
			end := "\n"
			if format == errorlog.Nginx {
				end = lineEnd
			}
			text, ended := strings.CutSuffix(out.last, end)
			if !ended || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f }) {
				t.Errorf("got %q", out.last)
			}
			if !utf8.ValidString(text) {
				t.Errorf("got bytes that are no UTF-8: %q", text)
			}
			if format == errorlog.JSON && !json.Valid([]byte(text)) {
				t.Errorf("got %s", text)
			}
		}
	})
}

func handler(t *testing.T, opts errorlog.Options) *errorlog.Handler {
	t.Helper()
	h, err := errorlog.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
