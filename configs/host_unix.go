//go:build unix

package configs

// controlName returns the absolute path of a unix socket. The name of a pipe stays as it is, for CheckHost to refuse.
func controlName(dir, s string) string {
	if isPipe(s) {
		return s
	}
	return absolute(dir, s)
}

const onWindows = false

// interpreter is Python 3 in a virtual environment and outside; Debian has no python without a number.
const interpreter = "python3"
