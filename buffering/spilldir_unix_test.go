//go:build unix

package buffering_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"spillway/buffering"
)

func TestOpenSpillDir_KeepsOthersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "temp")
	if _, err := buffering.OpenSpillDir(path, 0); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("got mode %o, want 700", got)
	}
}

func TestPipe_SpillFileHasNoName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		h.fillAll(pattern(20 << 10))
		if h.dir.Files() != 1 {
			t.Fatalf("got %d open spill files, want 1", h.dir.Files())
		}
		if names := namesIn(t, h.path); len(names) > 0 {
			t.Errorf("got %v in the folder while the file is open, want nothing", names)
		}
		h.pipe.Free()
		h.checkGivenBack()
	})
}
