package configs

import "strings"

// pipePrefix is how the names of all pipes of this machine begin on Windows.
const pipePrefix = `\\.\pipe\`

// isPipe reports whether s is the full name of a pipe; Windows does not mind the case.
func isPipe(s string) bool {
	return len(s) > len(pipePrefix) && strings.EqualFold(s[:len(pipePrefix)], pipePrefix)
}

// mostSocketPath is the length of the longest path of a unix socket that every system takes: 104 bytes with a zero.
const mostSocketPath = 103

// control checks that the name of the control channel is one of the system h.
func (k *checker) control(h host) {
	at, name := k.config.Places.At("control"), k.config.Control
	switch {
	case name == "" || name == ControlOff:
	case h.windows && !isPipe(name):
		k.refuse(at, `%s is not the name of a pipe; want a name such as spillway, or auto`, quote(name))
	case h.windows && strings.ContainsAny(name[len(pipePrefix):], `/\`):
		k.refuse(at, `%s: the name of a pipe has no separator`, quote(name))
	case !h.windows && isPipe(name):
		k.refuse(at, "%s is the name of a pipe of Windows; want the path of a unix socket, or auto", quote(name))
	case !h.windows && len(name) > mostSocketPath:
		k.refuse(at, "%s: %d bytes are too many for a unix socket; want at most %d, or auto", quote(name), len(name), mostSocketPath)
	}
}
