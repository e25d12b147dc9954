package logfile_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spillway/proxy/logfile"
)

func TestRotate_BySizeAtTheEndOfALine(t *testing.T) {
	const limit = 1000
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Size: limit}})
	var want strings.Builder
	for i := range 500 {
		line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", i%40))
		if i == 250 {
			line = strings.Repeat("y", 2*limit) + "\n" // alone in its file
		}
		want.WriteString(line)
		write(t, w, line)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, large := "", 0
	for _, file := range append(asides(t, path), path) {
		text := read(t, file)
		if len(text) > limit {
			large++
		}
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("%s: got the end %q, want a whole line", file, text[max(0, len(text)-10):])
		}
		got += text
	}
	if got != want.String() || large != 1 {
		t.Errorf("got %d bytes and %d files that are too large, want %d and 1", len(got), large, want.Len())
	}
}

func TestRotate_CompressesAndKeepsTheNewest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "журнал größe.log") // the header of a gzip file has no room for such names
	other := path + ".2026"
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Size: 10, Keep: 2, Compress: true}})
	for i := range 6 {
		write(t, w, fmt.Sprintf("line %d.\n", i))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var files []string
	within(t, func() bool {
		files = slices.DeleteFunc(asides(t, path), func(f string) bool { return f == other })
		return len(files) == 2 && strings.HasSuffix(files[0], ".gz") && strings.HasSuffix(files[1], ".gz")
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := unzip(t, files[0]) + unzip(t, files[1]) + read(t, path); got != "line 3.\nline 4.\nline 5.\n" {
		t.Errorf("got %q, want the last three lines", got)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("got %v, want that a file of another name stays", err)
	}
}

func TestRotate_AtMidnightAlsoWhenNothingIsWritten(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "access.log")
	synctest.Test(t, func(t *testing.T) {
		w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Every: 24 * time.Hour}})
		now := time.Now()
		next := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.Local)
		write(t, w, "today\n")
		<-time.After(time.Until(next) - time.Second)
		if got := asides(t, path); len(got) > 0 {
			t.Errorf("got %v before midnight, want nothing", got)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		want := path + "." + next.Format("20060102-150405")
		if got := asides(t, path); !slices.Equal(got, []string{want}) || read(t, want) != "today\n" {
			t.Fatalf("got %v, want %s", got, want)
		}
		<-time.After(48 * time.Hour) // an empty file stays
		write(t, w, "later\n")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := asides(t, path); len(got) != 1 || read(t, path) != "later\n" {
			t.Errorf("got %v, %q, want one file and the last line", got, read(t, path))
		}
	})
}

func TestRotate_AFileOfYesterdayIsPutAsideAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Every: 24 * time.Hour}})
	write(t, w, "new\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := asides(t, path); len(got) != 1 || read(t, got[0]) != "old\n" || read(t, path) != "new\n" {
		t.Errorf("got %v and %q, want the old line in one file and the new one in the other", got, read(t, path))
	}
}

func TestRotate_FinishesWhatACrashHasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(".20260101-000000", "renamed\n") // crashed before the compression
	put(".20260102-000000", "half\n")    // in it
	put(".20260102-000000.gz.part", "\x1f\x8b")
	put(".20260103-000000", "both\n") // before the plain one was removed
	put(".20260103-000000.gz", "complete")
	put(".20260231-000000", "no such day")
	w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Size: 1000, Compress: true}})
	var files []string
	within(t, func() bool {
		files = asides(t, path)
		return len(files) == 4 && !slices.ContainsFunc(files[:3], func(f string) bool { return !strings.HasSuffix(f, ".gz") })
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := unzip(t, files[0]) + unzip(t, files[1]) + read(t, files[2]); got != "renamed\nhalf\ncomplete" {
		t.Errorf("got %q", got)
	}
}

func TestRotate_CanBeChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{Path: path})
	write(t, w, "first\n")
	if err := w.SetRotate(logfile.Rotate{Size: 8}); err != nil {
		t.Fatal(err)
	}
	write(t, w, "second\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.SetRotate(logfile.Rotate{}); err != nil {
		t.Fatal(err)
	}
	write(t, w, "third\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := asides(t, path); len(got) != 1 || read(t, path) != "second\nthird\n" {
		t.Errorf("got %v and %q", got, read(t, path))
	}
}

// With many writers, and somebody else who renames the file and asks for a new one, each line is in one of the files.
func TestRotate_LosesNothing(t *testing.T) {
	const writers, lines = 4, 2000
	path := filepath.Join(t.TempDir(), "access.log")
	w := open(t, logfile.Options{
		Path: path, Buffer: 8 << 20, Rotate: logfile.Rotate{Size: 20 << 10, Compress: true},
		Failed: func(err error) { t.Errorf("failed: %v", err) },
	})
	var all sync.WaitGroup
	var written atomic.Int64
	for i := range writers {
		all.Go(func() {
			for j := range lines {
				_, _ = fmt.Fprintf(w, "line %d of %d\n", j, i)
				written.Add(1)
			}
		})
	}
	for i := range 5 {
		within(t, func() bool { return written.Load() > int64(i*writers*lines/10) })
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if err := w.Reopen(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, file := range append(asides(t, path), path) {
		var text string
		if strings.HasSuffix(file, ".gz") {
			text = unzip(t, file)
		} else {
			text = read(t, file)
		}
		for line := range strings.Lines(text) {
			got[line]++
		}
	}
	if len(got) != writers*lines {
		t.Errorf("got %d different lines, want %d", len(got), writers*lines)
	}
	for line, n := range got {
		if n != 1 {
			t.Errorf("got %q %d times, want once", line, n)
		}
	}
}

// asides returns all files beside path whose names begin with it, in the order of their names and numbers.
func asides(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Clean(path) + ".*")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int {
		a, b = strings.TrimSuffix(a, ".gz"), strings.TrimSuffix(b, ".gz")
		if x, y := filepath.Ext(a), filepath.Ext(b); strings.TrimSuffix(a, x) == strings.TrimSuffix(b, y) && len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(a, b)
	})
	return files
}

func unzip(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// within waits until done, for ten seconds.
func within(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("took longer than 10 s")
		}
	}
}
