package supervisor

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func lines(input string) []string {
	var got []string
	readLines(iotest.OneByteReader(strings.NewReader(input)), func(line string) { got = append(got, line) })
	return got
}

func TestReadLines_CutsAndSkips(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	f := func(input string, want ...string) {
		t.Helper()
		if got := lines(input); !slices.Equal(got, want) {
			t.Errorf("%.40q: got %.40q, want %.40q", input, got, want)
		}
	}
	f("")
	f("a\nb\r\n", "a", "b")
	f("no end", "no end")
	f("\n \n\r\n\nx\n", "x")
	f(long+"\nnext\n", long[:maxLine], "next")
	f(strings.Repeat("x", 3*readSize)+"\nnext", long[:maxLine], "next")
	f(long, long[:maxLine])
	f(long[:maxLine]+"\nnext", long[:maxLine], "next")
}

// records returns a logger and the events that it was given, with the values of their attributes.
func records() (*slog.Logger, func() []string) {
	var mu sync.Mutex
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, &b}, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return log, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func TestOutput_KeepsAllRaw(t *testing.T) {
	log, logged := records()
	var raw strings.Builder
	o := newOutput(log, newLimiter(log), &raw)
	input := "one\r\n\n" + strings.Repeat("x", 5*readSize) + "\nlast, without an end"
	o.read(iotest.HalfReader(strings.NewReader(input)), "stderr")
	if raw.String() != input {
		t.Errorf("got %d raw bytes, want the %d of the input", raw.Len(), len(input))
	}
	if got, want := o.tail.snapshot(), []string{"one", strings.Repeat("x", maxLine), "last, without an end"}; !slices.Equal(got, want) {
		t.Errorf("got tail %.80q", got)
	}
	if got, want := logged()[0], `msg="process output" stream=stderr line=one`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// failingWriter fails at first, as a disk that is full for a while.
type failingWriter struct {
	failures int
	strings.Builder
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.failures--; w.failures >= 0 {
		return 0, errors.New("disk full")
	}
	return w.Builder.Write(p)
}

func TestOutput_GoesOnWhenRawFails(t *testing.T) {
	log, logged := records()
	raw := &failingWriter{failures: 4}
	o := newOutput(log, newLimiter(log), raw)
	o.read(iotest.OneByteReader(strings.NewReader("a\nb\nc\n")), "stdout")
	if got, want := raw.String(), "c\n"; got != want {
		t.Errorf("got raw %q, want %q", got, want)
	}
	want := []string{
		`msg="process output not written" err="disk full"`,
		`msg="process output" stream=stdout line=a`, `msg="process output" stream=stdout line=b`, `msg="process output" stream=stdout line=c`,
	}
	if got := logged(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutput_LeavesOutAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logged := records()
		limit := newLimiter(log)
		o := newOutput(log, limit, nil)
		flood := strings.Repeat("again\n", lineBurst+500)
		o.read(strings.NewReader(flood), "stdout")
		got := logged()
		if len(got) != lineBurst || strings.Contains(got[len(got)-1], "left out") {
			t.Fatalf("got %d lines, want the burst of %d", len(got), lineBurst)
		}
		// Nothing more comes: the number is told all the same.
		time.Sleep(lineMute)
		synctest.Wait()
		if got = logged(); len(got) != lineBurst+1 || got[lineBurst] != `msg="process output left out" lines=500` {
			t.Fatalf("got %d lines, the last %q", len(got), got[len(got)-1])
		}
		// What came in that second may be written now; the end of the run does not wait.
		o.read(strings.NewReader(flood), "stdout")
		limit.flush()
		if got = logged(); len(got) != lineBurst+1+lineRate+1 || got[len(got)-1] != `msg="process output left out" lines=1300` {
			t.Errorf("got %d lines, the last %q", len(got), got[len(got)-1])
		}
		if got, want := len(o.tail.snapshot()), tailLines; got != want {
			t.Errorf("got %d lines in the tail, want %d", got, want)
		}
	})
}

func TestLimiter_HasItsBurstAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := records()
		limit := newLimiter(log)
		for round := range 3 {
			for i := range lineBurst {
				if !limit.allow() {
					t.Fatalf("round %d: line %d is left out", round, i)
				}
			}
			time.Sleep(lineBurst / lineRate * time.Second)
		}
	})
}

func FuzzReadLines(f *testing.F) {
	f.Add("a\nb\r\n\n")
	f.Add(strings.Repeat("x", maxLine) + "\r\ny")
	f.Fuzz(func(t *testing.T, input string) {
		for _, line := range lines(input) {
			if len(line) > maxLine || strings.Contains(line, "\n") || strings.TrimSpace(line) == "" || !strings.Contains(input, line) {
				t.Errorf("got line %q of %q", line, input)
			}
		}
	})
}

// What a process writes without pause, and with no line in it, costs this.
func BenchmarkOutput(b *testing.B) {
	f := func(name, input string) {
		b.Run(name, func(b *testing.B) {
			log := slog.New(slog.DiscardHandler)
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				o := newOutput(log, newLimiter(log), io.Discard)
				o.read(strings.NewReader(input), "stdout")
				o.limit.flush()
			}
		})
	}
	f("no-lines", strings.Repeat("x", 16<<20))
	f("short-lines", strings.Repeat("a short line of text\n", 16<<20/21))
}
