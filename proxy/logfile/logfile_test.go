package logfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/proxy/logfile"
)

func TestWriter_AppendsAndMakesFolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "of", "today", "error.log")
	for _, line := range []string{"first\n", "second\n"} {
		w := open(t, logfile.Options{Path: path})
		write(t, w, line)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := read(t, path), "first\nsecond\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The first lines after a quiet time are written at once; those behind them gather, for longer when there were many.
func TestWriter_GathersLines(t *testing.T) {
	folder := t.TempDir()
	f := func(first string, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(folder, "access.log")
			w := open(t, logfile.Options{Path: path})
			defer w.Close()
			before := len(read(t, path))
			write(t, w, first)
			synctest.Wait()
			if got := len(read(t, path)) - before; got != len(first) {
				t.Errorf("got %d bytes at once, want %d", got, len(first))
			}
			write(t, w, "second\n")
			<-time.After(want - time.Millisecond)
			synctest.Wait()
			if got := len(read(t, path)) - before; got != len(first) {
				t.Errorf("got %d bytes before %v, want %d", got, want, len(first))
			}
			<-time.After(2 * time.Millisecond)
			synctest.Wait()
			if got := read(t, path)[before:]; got != first+"second\n" {
				t.Errorf("got %d bytes after %v, want all", len(got), want)
			}
		})
	}
	f("first\n", 10*time.Millisecond)
	f(strings.Repeat("many\n", 4000), 50*time.Millisecond)
}

func TestWriter_FlushShowsLinesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{Path: path})
	defer w.Close()
	want := ""
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		write(t, w, line)
		want += line
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWriter_WritesALoneLineWithoutFlush(t *testing.T) {
	r, file := pipe(t)
	w := open(t, logfile.Options{File: file})
	defer w.Close()
	write(t, w, "hello\n")
	got := make([]byte, 6)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "hello\n" {
		t.Errorf("got %q, %v, want hello", got, err)
	}
}

// Lines of many goroutines arrive whole, and those of one goroutine in their order.
func TestWriter_KeepsLinesWhole(t *testing.T) {
	const writers, lines = 8, 2000
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{Path: path})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range lines {
				_, _ = fmt.Fprintf(w, "%d %d %s\n", i, j, strings.Repeat("x", j%50))
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := w.Dropped(); n > 0 {
		t.Skipf("%d lines dropped: the disk is too slow here", n)
	}
	next := [writers]int{}
	for line := range strings.Lines(read(t, path)) {
		var i, j int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &j); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if want := fmt.Sprintf("%d %d %s\n", i, next[i], strings.Repeat("x", next[i]%50)); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
		next[i]++
	}
	for i, n := range next {
		if n != lines {
			t.Errorf("writer %d: got %d lines, want %d", i, n, lines)
		}
	}
}

// A pipe that nobody reads is a disk that hangs.
func TestWriter_DropsAndTellsWhenTheFileHangs(t *testing.T) {
	r, file := pipe(t)
	w := open(t, logfile.Options{File: file, Buffer: 4096})
	line := strings.Repeat("x", 99) + "\n"
	wrote := 0
	for ; w.Dropped() < 7; wrote++ {
		write(t, w, line)
	}
	read := make(chan string)
	go func() { // ends when the pipe is closed
		all, _ := io.ReadAll(r)
		read <- string(all)
	}()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	got := <-read
	if kept := strings.Count(got, line); kept != wrote-7 {
		t.Errorf("got %d lines, want %d", kept, wrote-7)
	}
	told := 0
	for text := range strings.Lines(got) {
		n := 0
		if _, err := fmt.Sscanf(text, "%d log lines were lost here\n", &n); err == nil {
			told += n
		}
	}
	if told != 7 {
		t.Errorf("got %d lines told as lost, want 7", told)
	}
}

func TestWriter_DropsALineLargerThanTheBuffer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "error.log")
	w := open(t, logfile.Options{Path: path, Buffer: 100})
	write(t, w, strings.Repeat("x", 100)+"\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path), "1 log lines were lost here\n"; got != want || w.Dropped() != 1 {
		t.Errorf("got %q and %d dropped, want %q and 1", got, w.Dropped(), want)
	}
}

func TestWriter_ReopenGoesOnInANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{Path: path})
	write(t, w, "before\n")
	// On Windows this needs the file to be opened with FILE_SHARE_DELETE.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, w, "between\n")
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, w, "after\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path+".1"), "before\nbetween\n"; got != want {
		t.Errorf("old file: got %q, want %q", got, want)
	}
	if got, want := read(t, path), "after\n"; got != want {
		t.Errorf("new file: got %q, want %q", got, want)
	}
}

func TestWriter_ReopenKeepsTheOldFileOnError(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(folder, "access.log")
	w := open(t, logfile.Options{Path: path})
	defer w.Close()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err == nil {
		t.Error("got nil, want the error of opening a folder")
	}
	write(t, w, "still here\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path+".1"), "still here\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriter_AfterClose(t *testing.T) {
	w := open(t, logfile.Options{Path: filepath.Join(t.TempDir(), "error.log")})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, writeErr := w.Write([]byte("late\n"))
	for name, err := range map[string]error{"write": writeErr, "flush": w.Flush(), "reopen": w.Reopen(), "close": w.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: got %v, want %v", name, err, os.ErrClosed)
		}
	}
	if got := w.Dropped(); got != 1 {
		t.Errorf("got %d dropped, want 1", got)
	}
}

func TestOpen_SaysWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := logfile.Open(logfile.Options{Path: filepath.Join(path, "error.log")}); err == nil {
		t.Error("got nil, want an error for a folder that is a file")
	}
}

func TestWriter_WriteDoesNotAllocate(t *testing.T) {
	w := open(t, logfile.Options{Path: filepath.Join(t.TempDir(), "access.log"), Buffer: 1 << 16})
	defer w.Close()
	line := append(bytes.Repeat([]byte("x"), 200), '\n')
	fill := func() {
		for range 100 {
			_, _ = w.Write(line)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	fill() // both buffers grow once
	fill()
	// What remains is Flush's own timer and channel, once per hundred lines.
	if got := testing.AllocsPerRun(50, fill); got > 10 {
		t.Errorf("got %v allocations per 100 lines and a flush, want at most 10", got)
	}
}

func open(t *testing.T, opts logfile.Options) *logfile.Writer {
	t.Helper()
	w, err := logfile.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w io.Writer, line string) {
	t.Helper()
	if n, err := io.WriteString(w, line); n != len(line) || err != nil {
		t.Fatalf("write: got %d, %v", n, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}
