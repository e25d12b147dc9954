package socket

import "net"

// Eager writes to a socket without waiting. It belongs to the goroutine that writes; the zero value is bound by its first use.
type Eager struct {
	pieces eagerPieces // one per platform
}

// Write writes as much of the pieces as s takes at once, in one system call, takes that off the slice and returns its length.
// What is wrong with the socket, the next Write of s finds. A platform that cannot tell, and a socket that is none of the
// system, take nothing.
func (e *Eager) Write(s *Socket, pieces *net.Buffers) int64 {
	n := e.pieces.write(s, *pieces)
	for left := n; len(*pieces) > 0; {
		first := (*pieces)[0]
		if left < int64(len(first)) {
			(*pieces)[0] = first[left:]
			break
		}
		left -= int64(len(first))
		*pieces = (*pieces)[1:]
	}
	return n
}
