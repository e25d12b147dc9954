package supervisor_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream/supervisor"
)

// watched is a folder and what Watch says of it, on the fake clock.
type watched struct {
	folder string
	err    error // valid when Watch has returned

	mu   sync.Mutex
	said []string
}

func (w *watched) say(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, name)
}

// write writes a file of the folder; each text of a test has another length, so that it does not take a clock to tell them
// apart.
func (w *watched) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// after lets the looks of so many seconds pass and compares what was said in them.
func (w *watched) after(t *testing.T, seconds int, want ...string) {
	t.Helper()
	time.Sleep(time.Duration(seconds) * time.Second)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := strings.Join(w.said, " ")
	if want := strings.Join(want, " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.said = nil
}

// testWatch runs f with a Watch of these paths of a folder. Seconds are counted from half a second after a look.
func testWatch(t *testing.T, paths []string, before, f func(w *watched)) {
	t.Helper()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{folder: folder}
		before(w)
		all := make([]string, len(paths))
		for i, path := range paths {
			all[i] = filepath.Join(folder, filepath.FromSlash(path))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() { // ends with ctx
			defer close(done)
			w.err = supervisor.Watch(ctx, all, func(path string) {
				name, err := filepath.Rel(folder, path)
				if err != nil {
					t.Error(err)
				}
				w.say(filepath.ToSlash(name))
			})
		}()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		f(w)
		cancel()
		<-done
		if w.err != nil {
			t.Error(w.err)
		}
	})
}

func TestWatch_ReportsOnceWhenItIsQuiet(t *testing.T) {
	testWatch(t, []string{"site"}, func(w *watched) { w.write(t, "site/app/views.py", "1") }, func(w *watched) {
		w.after(t, 20)
		w.write(t, "site/app/views.py", "12")
		w.after(t, 2) // seen, but it may go on
		w.write(t, "site/app/models.py", "1")
		w.after(t, 2)
		w.after(t, 2, "site/app/models.py")
		w.after(t, 20)
		if err := os.Remove(filepath.Join(w.folder, "site", "app", "models.py")); err != nil {
			t.Fatal(err)
		}
		w.after(t, 4, "site/app/models.py")
	})
}

func TestWatch_SeesATouch(t *testing.T) {
	testWatch(t, []string{"restart.txt"}, func(w *watched) { w.write(t, "restart.txt", "") }, func(w *watched) {
		then := time.Unix(1_000_000_000, 0)
		if err := os.Chtimes(filepath.Join(w.folder, "restart.txt"), then, then); err != nil {
			t.Fatal(err)
		}
		w.after(t, 4, "restart.txt")
	})
}

func TestWatch_PassesOverWhatIsNoCode(t *testing.T) {
	testWatch(t, []string{"site"}, func(w *watched) { w.write(t, "site/app.py", "1") }, func(w *watched) {
		for _, name := range []string{
			".git/HEAD", "__pycache__/app.cpython-311.pyc", "app.pyc", "debug.log", "db.sqlite3", "db.sqlite3-journal", "app.py~", ".#app.py",
		} {
			w.write(t, "site/"+name, "new")
		}
		w.after(t, 20)
	})
}

// A log is watched by who names it.
func TestWatch_TakesFilesAndPatternsAsTheyAreNamed(t *testing.T) {
	paths := []string{"deploy.log", "*.ini", "[site]", "mod*/"}
	testWatch(t, paths, func(w *watched) { w.write(t, "[site]/a.py", "1") }, func(w *watched) {
		w.write(t, "deploy.log", "1")
		w.after(t, 4, "deploy.log")
		w.write(t, "php.ini", "1")
		w.after(t, 4, "php.ini")
		w.write(t, "php.cfg", "1")
		w.after(t, 4)
		w.write(t, "[site]/a.py", "12")
		w.after(t, 4, "[site]/a.py")
		w.write(t, "modules/deep/er/b.py", "1")
		w.after(t, 4, "modules/deep/er/b.py")
	})
}

func TestWatch_WaitsForAPathThatIsBeingReplaced(t *testing.T) {
	testWatch(t, []string{"site"}, func(w *watched) { w.write(t, "site/a.py", "1") }, func(w *watched) {
		site, old := filepath.Join(w.folder, "site"), filepath.Join(w.folder, "old")
		if err := os.Rename(site, old); err != nil {
			t.Fatal(err)
		}
		w.after(t, 60)
		w.write(t, "site/a.py", "12")
		w.after(t, 4, "site/a.py")

		// And back as it was: no reason for a restart.
		if err := os.Rename(site, site+"2"); err != nil {
			t.Fatal(err)
		}
		w.after(t, 10)
		if err := os.Rename(site+"2", site); err != nil {
			t.Fatal(err)
		}
		w.after(t, 10)
	})
}
