package configs

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

// TestCheckHost_AsksWhetherFilesCanBeMade: as nobody, on a thread of its own, since root may write everywhere.
func TestCheckHost_AsksWhetherFilesCanBeMade(t *testing.T) {
	dir := t.TempDir()
	for path := dir; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "error.log")
	if err := os.WriteFile(log, nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	c, err := Parse(filepath.Join(dir, "s.yaml"), []byte(
		"listen: 80\nupstreams: {app: {peers: [127.0.0.1:9001]}}\naccess_log: new/access.log\nerror_log: error.log\ntemp_path: temp\n"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan Problems)
	go func() { // ends with its thread, which nobody else gets
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			_ = syscall.Setfsuid(65534)
		}
		done <- c.CheckHost()
	}()
	var got []string
	for _, p := range <-done {
		got = append(got, p.Key+": "+p.Message)
	}
	want := []string{
		`access_log: nothing can be made in "` + dir + `" by who runs this: permission denied`,
		`error_log: "` + log + `" cannot be written by who runs this: permission denied`,
		`temp_path: nothing can be made in "` + dir + `" by who runs this: permission denied`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want that nothing was made", entries, err)
	}
}
