//go:build unix

package supervisor_test

import (
	"os"
	"path/filepath"
	"testing"
)

// A deploy that moves a link to the next release is one change; a link that leads upwards is no endless folder.
func TestWatch_FollowsTheLinkThatItIsGiven(t *testing.T) {
	link := func(w *watched, to string) {
		t.Helper()
		current := filepath.Join(w.folder, "current")
		if err := os.Remove(current); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(w.folder, to), current); err != nil {
			t.Fatal(err)
		}
	}
	testWatch(t, []string{"current"}, func(w *watched) {
		w.write(t, "release1/a.py", "1")
		w.write(t, "release2/a.py", "12")
		if err := os.Symlink(w.folder, filepath.Join(w.folder, "release1", "up")); err != nil {
			t.Fatal(err)
		}
		link(w, "release1")
	}, func(w *watched) {
		w.after(t, 10)
		link(w, "release2")
		w.after(t, 4, "current/a.py")
	})
}
