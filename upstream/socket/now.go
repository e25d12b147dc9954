package socket

import "net"

// maxPieces is how many pieces one system call writes: a head and a body, or a few records with their headers.
const maxPieces = 8

// WriteNow writes as much of the pieces as the socket takes at once, takes that off the slice and returns its length. What is wrong
// with the socket, the next Write finds. A socket that cannot tell takes nothing: one that is neither waited for by a loop nor,
// on Windows, a TCP connection of package net.
func (s *Socket) WriteNow(pieces *net.Buffers) int64 {
	if s.own != nil {
		return s.own.WriteNow(pieces)
	}
	return s.ask.now.write(pieces)
}

// consume takes n written bytes, and pieces that are empty, off the front.
func consume(pieces *net.Buffers, n int) {
	for len(*pieces) > 0 {
		first := (*pieces)[0]
		if n < len(first) {
			(*pieces)[0] = first[n:]
			return
		}
		n -= len(first)
		(*pieces)[0] = nil
		*pieces = (*pieces)[1:]
	}
}
