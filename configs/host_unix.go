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
