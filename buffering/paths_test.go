package buffering_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/buffering"
)

// Whatever the path of the folder looks like, a body can be spilled there, and nothing stays.
func TestOpenSpillDir_Paths(t *testing.T) {
	f := func(name string, parts ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			h := &harness{t: t, path: t.TempDir() + "/" + strings.Join(parts, "/"), arena: buffering.NewArena(0)}
			var err error
			if h.dir, err = buffering.OpenSpillDir(h.path, 0); err != nil {
				t.Fatal(err)
			}
			h.path = filepath.Clean(h.path)
			h.open(smallLimits())
			body := pattern(20 << 10)
			filled := h.fill(strings.NewReader(string(body)))
			if err := <-filled; err != nil {
				t.Error(err)
			}
			if len(h.spills) != 1 || h.dir.InUse() == 0 {
				t.Errorf("got spills %v, %d bytes, want one file", h.spills, h.dir.InUse())
			}
			h.checkBody(h.deliverAll(), body)
			h.checkGivenBack()
			if err := os.RemoveAll(h.path); err != nil {
				t.Error(err)
			}
		})
	}
	f("blanks", "Program Files (x86)", "the site", "temp files")
	f("letters", "Временные", "一時", "Ablage-äöüß-é")
	f("mixed separators", "a", ".", "b", "..", "c")
	f("longer than 260", strings.Repeat("a", 100), strings.Repeat("b", 100), strings.Repeat("c", 100))
}
