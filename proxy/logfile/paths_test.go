package logfile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"spillway/proxy/logfile"
)

// Whatever a path looks like, the file can be opened, renamed while it is open, and put aside.
func TestWriter_Paths(t *testing.T) {
	f := func(name string, parts ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/" + strings.Join(parts, "/") // a separator that Windows takes, too
			w := open(t, logfile.Options{
				Path: path, Rotate: logfile.Rotate{Size: 8, Compress: true},
				Failed: func(err error) { t.Errorf("failed: %v", err) },
			})
			write(t, w, "first\n")
			write(t, w, "second\n")
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			within(t, func() bool {
				files := asides(t, path)
				return len(files) == 1 && strings.HasSuffix(files[0], ".gz")
			})
			if err := w.Reopen(); err != nil {
				t.Error(err)
			}
			write(t, w, "third\n")
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			got := ""
			for _, file := range asides(t, path) {
				if strings.HasSuffix(file, ".gz") {
					got += unzip(t, file)
				} else {
					got += read(t, file)
				}
			}
			if got += read(t, filepath.Clean(path)); got != "first\nsecond\nthird\n" {
				t.Errorf("got %q", got)
			}
		})
	}
	f("blanks", "Program Files (x86)", "the site", "access log.txt")
	f("letters", "Протоколы", "日誌", "Zugriffe-äöüß-é.log")
	f("mixed separators", "a", ".", "b", "..", "c", "access.log")
	f("longer than 260", strings.Repeat("a", 100), strings.Repeat("b", 100), strings.Repeat("c", 100), "access.log")
}
