package http1

import (
	"sync"

	"spillway/upstream"
)

// Options configure a Protocol.
type Options struct {
	// KeepAlive asks peers to keep connections open; without it requests carry "Connection: close" and no response is
	// Reusable. It belongs together with upstream.GroupOptions.Keepalive.
	KeepAlive bool
	// Old sends requests of HTTP/1.0, without KeepAlive, trailers and upgrades. Their bodies have to have a length.
	Old bool
}

// Protocol is HTTP/1.1 as a group's wire language. It is safe for all connections of the group at once.
type Protocol struct {
	keepAlive bool
	old       bool
	pieces    sync.Pool // *[pieceSize]byte, for streamed bodies
}

var _ upstream.Protocol = (*Protocol)(nil)

// New returns the protocol.
func New(opts Options) *Protocol {
	return &Protocol{
		keepAlive: opts.KeepAlive && !opts.Old,
		old:       opts.Old,
		pieces:    sync.Pool{New: func() any { return new([pieceSize]byte) }},
	}
}

// state is what a connection keeps from Send to the end of the response's body.
type state struct {
	memory []byte // of a request's head and a small body; nil: none yet
	writer headWriter
	sender sender
	head   head
	body   body
}

// stateOf returns the connection's state, which outlives it: a recycled Conn brings that of an earlier connection.
func stateOf(c *upstream.Conn) *state {
	s, _ := c.State.(*state)
	if s == nil {
		s = &state{}
		s.writer.each = s.writer.field
		c.State = s
	}
	return s
}
