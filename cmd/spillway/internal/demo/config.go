package demo

import (
	_ "embed"
	"strings"
)

//go:embed demo.yaml
var text string

// Name stands for the file name of the demo's configuration in messages.
const Name = "built-in demo"

// Command is the hidden command of the spillway binary that runs one demo process.
const Command = "demo-process"

// Config returns the text of the demo's configuration for the program at the path exe, with spill files in the folder
// temp.
func Config(exe, temp string) []byte {
	return []byte(strings.NewReplacer("EXE", quote(exe), "TEMP", quote(temp)).Replace(text))
}

// quote returns s as a YAML scalar in single quotes.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
