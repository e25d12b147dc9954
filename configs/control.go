package configs

import "strings"

// pipePrefix is how the names of all pipes of this machine begin on Windows.
const pipePrefix = `\\.\pipe\`

// isPipe reports whether s is the full name of a pipe; Windows does not mind the case.
func isPipe(s string) bool {
	return len(s) > len(pipePrefix) && strings.EqualFold(s[:len(pipePrefix)], pipePrefix)
}
