package demo

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
)

//go:embed demo.yaml
var text string

// Name stands for the file name of the demo's configuration in messages.
const Name = "built-in demo"

// Config returns the text of the demo's configuration for the program at the path exe.
func Config(exe string) []byte {
	return []byte(strings.NewReplacer("EXE", quote(exe), "TEMP", quote(tempPath())).Replace(text))
}

// tempPath is where the demo's spill files go.
func tempPath() string { return filepath.Join(os.TempDir(), "spillway-demo"+ownSuffix()) }

// quote returns s as a YAML scalar in single quotes.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
