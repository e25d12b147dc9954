package errorlog_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"spillway/proxy/errorlog"
	"spillway/proxy/logfile"
)

func TestHandler_UpdateReachesThoseMadeFromIt(t *testing.T) {
	before, after := &bytes.Buffer{}, &bytes.Buffer{}
	h := handler(t, errorlog.Options{Out: before, Level: errorlog.LevelWarn})
	log := slog.New(h).With("upstream", "app").WithGroup("g").With("a", 1)
	log.Info("too low")
	log.Warn("first")
	if err := h.Update(errorlog.Options{Out: after, Level: errorlog.LevelInfo, Format: errorlog.JSON, PID: 7}); err != nil {
		t.Fatal(err)
	}
	log.Info("second")
	if got := before.String(); !strings.Contains(got, "first, upstream: app, g.a: 1") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q before, want the first line alone", got)
	}
	if got := after.String(); !strings.Contains(got, `"msg":"second","upstream":"app","g.a":1}`) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q after, want the second line alone", got)
	}
	if err := h.Update(errorlog.Options{}); err == nil {
		t.Error("got no error without an output")
	}
	log.Info("third")
	if !strings.Contains(after.String(), "third") {
		t.Errorf("got %q, want that a failed change changes nothing", after)
	}
}

func TestHandler_UpdateLosesNothing(t *testing.T) {
	const writers, lines, files = 4, 500, 10
	folder := t.TempDir()
	open := func(i int) *logfile.Writer {
		t.Helper()
		w, err := logfile.Open(logfile.Options{Path: filepath.Join(folder, fmt.Sprint(i))})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	out := open(0)
	h := handler(t, errorlog.Options{Out: out})
	log := slog.New(h)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range lines {
				log.Error("a line")
			}
		})
	}
	for i := range files {
		next := open(i + 1)
		if err := h.Update(errorlog.Options{Out: next}); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		out = next
	}
	all.Wait()
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	got := 0
	for i := range files + 1 {
		text, err := os.ReadFile(filepath.Join(folder, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		got += strings.Count(string(text), "a line")
	}
	if got != writers*lines {
		t.Errorf("got %d lines in all files, want %d", got, writers*lines)
	}
}
