package configs

import "strings"

// controlName returns the full name of a pipe; what has a separator and is none stays as it is, for CheckHost to refuse.
func controlName(_, s string) string {
	if isPipe(s) || strings.ContainsAny(s, `/\`) {
		return s
	}
	return pipePrefix + s
}

const onWindows = true

// interpreter is what Python's installer and a virtual environment have; python3 is a link to a shop.
const interpreter = "python"
