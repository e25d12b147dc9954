package logfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/proxy/logfile"
)

// A program that opens the log as most do keeps it from being renamed.
func TestRotate_FailsOnceAndWritesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var failed []error
	w := open(t, logfile.Options{
		Path: path, Rotate: logfile.Rotate{Size: 6}, Failed: func(err error) { failed = append(failed, err) },
	})
	viewer, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		write(t, w, "a line\n")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	viewer.Close()
	if got := read(t, path); got != strings.Repeat("a line\n", 3) || len(asides(t, path)) > 0 {
		t.Errorf("got %q, want all lines in the one file", got)
	}
	if len(failed) != 1 || !strings.Contains(failed[0].Error(), "rotate "+path+": rename ") {
		t.Errorf("got %v, want one error", failed)
	}
}
