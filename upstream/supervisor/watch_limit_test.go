package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// manyFiles makes a folder with n files, some of them deeper.
func manyFiles(tb testing.TB, n int) string {
	tb.Helper()
	folder := tb.TempDir()
	for i := range n {
		sub := filepath.Join(folder, strconv.Itoa(i/50))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, strconv.Itoa(i)), nil, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

func TestWatch_RefusesTooManyFiles(t *testing.T) {
	folder := manyFiles(t, 100)
	w := newWatch([]string{folder})
	w.most = 100
	if _, err := w.look(); err != nil {
		t.Error(err)
	}
	w.most = 99
	_, err := w.look()
	if err == nil || !strings.Contains(err.Error(), folder+": more than 99 files; name") {
		t.Errorf("got %v, want an error that names the folder and the limit", err)
	}
	// Two folders together.
	w = newWatch([]string{folder, manyFiles(t, 3)})
	w.most = 102
	if _, err := w.look(); err == nil {
		t.Error("got no error for 103 files")
	}
}

// A look at as many files as one Watch may look at, which happens every two seconds.
func BenchmarkWatch(b *testing.B) {
	w := newWatch([]string{manyFiles(b, watchMost)})
	for b.Loop() {
		if _, err := w.look(); err != nil {
			b.Fatal(err)
		}
	}
}
