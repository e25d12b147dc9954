package proxy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The map is read by whoever looks for the place of something, so it must not name what is not there.
func TestDoc_NamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:buffering|balancer|upstream|proxy|cmd)(?:/[a-z0-9_]+)+(?:\.go)?`).FindAllString(string(text), -1)
	if len(named) < 15 {
		t.Fatalf("got %d names, the journey has more", len(named))
	}
	for _, name := range named {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(name))); err != nil {
			t.Errorf("doc.go names %s: %v", name, err)
		}
	}
}
