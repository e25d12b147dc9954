package buffering_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"spillway/buffering"
)

func TestOpenSpillDir_MakesTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "temp")
	dir, err := buffering.OpenSpillDir(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, path); len(names) > 0 {
		t.Errorf("got %v in the folder after opening, want nothing", names)
	}
	if got := dir.Budget(); got != 1000 {
		t.Errorf("got budget %d, want 1000", got)
	}
	if dir.Files() != 0 || dir.InUse() != 0 || dir.Stats() != (buffering.Stats{}) {
		t.Errorf("got %d files, %d in use, %+v for a new folder, want zeros", dir.Files(), dir.InUse(), dir.Stats())
	}
}

func TestOpenSpillDir_SaysWhyItIsUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := buffering.OpenSpillDir(filepath.Join(file, "temp"), 0)
	if err == nil {
		t.Fatal("got no error for a folder inside a file")
	}
	if !strings.Contains(err.Error(), "temp path "+filepath.Join(file, "temp")) {
		t.Errorf("got %q, want the path in it", err)
	}
}

func TestSpillDir_StepsOverNamesThatAreThere(t *testing.T) {
	path := t.TempDir()
	for _, name := range []string{"0000000001", "0000000002"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := buffering.OpenSpillDir(path, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0000000001", "0000000002"} {
		if got, err := os.ReadFile(filepath.Join(path, name)); string(got) != "kept" {
			t.Errorf("%s: got %q, %v, want it untouched", name, got, err)
		}
	}
}

func TestSpillDir_BudgetCanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarnessWithBudgets(t, smallLimits(), 0, 1)
		h.dir.SetBudget(1 << 20)
		h.fillAll(pattern(20 << 10))
		if h.dir.InUse() == 0 || h.dir.Budget() != 1<<20 {
			t.Errorf("got %d of %d in use, want that a larger budget takes effect", h.dir.InUse(), h.dir.Budget())
		}
		h.pipe.Free()
		h.checkGivenBack()
	})
}

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
