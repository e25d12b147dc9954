package buffering_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
)

// Where a file that is open keeps its name, it is gone with its handle. That it has the temporary attribute as well is not
// tested: Wine does not keep it.
func TestPipe_SpillFileGoesWithItsHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		h.fillAll(pattern(20 << 10))
		if len(h.spills) != 1 {
			t.Fatalf("got spills %v, want one", h.spills)
		}
		if _, err := os.Stat(h.spills[0]); err != nil {
			t.Errorf("got %v for the file while its pipe is open, want that it is there", err)
		}
		h.pipe.Free()
		h.checkGivenBack()
		if _, err := os.Stat(h.spills[0]); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v for the file after its pipe, want that it does not exist", err)
		}
	})
}
