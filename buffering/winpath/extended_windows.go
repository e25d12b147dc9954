package winpath

import (
	"path/filepath"
	"strings"
)

// Extended returns a path that is too long for some versions of Windows in the form that all of them take, as package os does
// on its own.
func Extended(path string) string {
	const maxPath = 248 // of a folder; that of a file is a little larger
	if len(path) < maxPath {
		return path
	}
	absolute, err := filepath.Abs(path)
	if err != nil || strings.HasPrefix(absolute, `\\?\`) || strings.HasPrefix(absolute, `\\.\`) {
		return path
	}
	if share, ok := strings.CutPrefix(absolute, `\\`); ok {
		return `\\?\UNC\` + share
	}
	return `\\?\` + absolute
}
