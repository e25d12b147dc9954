package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// Layer is a protocol between a Socket's user and the network, such as TLS. It is a net.Conn for New, and can be asked for
// Quiet, which the descriptor alone cannot tell: what is to be read may lie in the layer, and what came may be the layer's own.
type Layer struct {
	net.Conn // the layer's

	under *under
	peek  [1]byte
	held  bool // peek has a byte that is to be read
}

// NewLayer puts what over makes on top of conn.
func NewLayer(conn net.Conn, over func(net.Conn) net.Conn) *Layer {
	u := &under{Socket: New(conn)}
	return &Layer{Conn: over(u), under: u}
}

// under is the connection that the layer reads. While it is asked, a read that would wait ends at once instead.
type under struct {
	*Socket

	asked bool
}

// Read reads from the network. Its error is temporary for a layer: crypto/tls goes on after a timeout.
func (u *under) Read(p []byte) (int, error) {
	if u.asked && u.Quiet() {
		return 0, os.ErrDeadlineExceeded
	}
	return u.Socket.Read(p)
}

// Read reads what there is.
func (l *Layer) Read(p []byte) (int, error) {
	if l.held && len(p) > 0 {
		l.held = false
		p[0] = l.peek[0]
		return 1, nil
	}
	return l.Conn.Read(p)
}

// Quiet is that of a Socket; the reader may call it.
func (l *Layer) Quiet() bool {
	if l.held {
		return false
	}
	l.under.asked = true
	n, err := l.Conn.Read(l.peek[:])
	l.under.asked = false
	l.held = n > 0
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// CloseWrite ends the sending side of the layer.
func (l *Layer) CloseWrite() error {
	half, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok {
		return syscall.EINVAL
	}
	return half.CloseWrite()
}
