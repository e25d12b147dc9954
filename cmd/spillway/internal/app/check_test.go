package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck_SeesEveryTemplate: what the generations compile is of the type that configs notes for Check, since nothing here goes
// to the variables by another way.
func TestCheck_SeesEveryTemplate(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		calls += strings.Count(string(text), "CompileTemplate(")
	}
	if calls != 1 {
		t.Errorf("got %d calls of proxy.CompileTemplate, want that of compile alone", calls)
	}
}
