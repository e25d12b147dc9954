//go:build linux

package logfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"spillway/proxy/logfile"
)

// /dev/full is a disk without space; a path that first leads there and then to a file is a disk that was cleaned up.
func TestWriter_SurvivesAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 100)
	w := open(t, logfile.Options{Path: path, Buffer: 100, Refused: func(err error) { told <- err }})
	write(t, w, "kept\n")
	if err := w.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("flush: got %v, want %v", err, syscall.ENOSPC)
	}
	long := strings.Repeat("x", 80) + "\n"
	for range 3 {
		write(t, w, long)
	}
	if got := w.Dropped(); got != 2 {
		t.Errorf("got %d dropped, want 2", got)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, syscall.ENOSPC) || len(told) != 0 {
		t.Errorf("got %v and %d more, want one with %v", err, len(told), syscall.ENOSPC)
	}
	want := "kept\n" + long + "2 log lines were lost here: write " + path + ": no space left on device\n"
	if got := read(t, path); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriter_CloseCountsWhatAFullDiskTook(t *testing.T) {
	w := open(t, logfile.Options{Path: "/dev/full"})
	write(t, w, "one\ntwo\n")
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want %v", err, syscall.ENOSPC)
	}
	if got := w.Dropped(); got != 2 {
		t.Errorf("got %d dropped, want 2", got)
	}
}
