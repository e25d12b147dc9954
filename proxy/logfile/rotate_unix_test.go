//go:build unix

package logfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/proxy/logfile"
)

func TestRotate_FailsOnceAndWritesOn(t *testing.T) {
	folder := t.TempDir()
	target, path := filepath.Join(folder, "target"), filepath.Join(folder, "access.log")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	var failed []error
	w := open(t, logfile.Options{
		Path: path, Rotate: logfile.Rotate{Size: 6}, Failed: func(err error) { failed = append(failed, err) },
	})
	for range 3 {
		write(t, w, "a line\n")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, target); got != strings.Repeat("a line\n", 3) || len(asides(t, path)) > 0 {
		t.Errorf("got %q, want all lines in the one file", got)
	}
	if len(failed) != 1 || !strings.Contains(failed[0].Error(), "rotate "+path+": it is no regular file") {
		t.Errorf("got %v, want one error", failed)
	}
}

// TestRotate_KeepsThePermissions: what may be read of one file may be read of the next, and of the compressed one.
func TestRotate_KeepsThePermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte("line 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const mode = 0o664 // more than the umask leaves
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	w := open(t, logfile.Options{Path: path, Rotate: logfile.Rotate{Size: 7, Compress: true}})
	write(t, w, "line 1\n")
	within(t, func() bool { return len(asides(t, path)) == 1 && strings.HasSuffix(asides(t, path)[0], ".gz") })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range append(asides(t, path), path) {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: got %v, %v, want %o", file, info.Mode(), err, mode)
		}
	}
}
