//go:build !linux || !(amd64 || arm64)

package socket

import (
	"net"
	"syscall"
	"time"
)

// Task is there for loops, which this platform has none of: everybody is on a goroutine. It is always nil.
type Task struct{}

// Leave does nothing.
func (t *Task) Leave() {}

// Return does nothing.
func (t *Task) Return() {}

// Go has a goroutine do something.
func (t *Task) Go(do func()) { go do() } // ends with what it does

// Yield does nothing.
func (t *Task) Yield() {}

// Uses does nothing: see the other platforms.
func Uses[T any](*Task, *T) {}

// Dial connects to an address of the network tcp or unix until the deadline.
func Dial(_ *Task, network, address string, deadline time.Time) (net.Conn, error) {
	return dial(network, address, deadline)
}

// Acceptor accepts what the listener accepts.
type Acceptor struct{ net.Listener }

// NewAcceptor returns an Acceptor for the listener.
func NewAcceptor(listener net.Listener) *Acceptor { return &Acceptor{listener} }

// Serve runs accept, which calls Accept, and returns when that has ended.
func (a *Acceptor) Serve(accept func(t *Task)) { accept(nil) }

// SetDeadline sets when Accept ends at the latest; false: the listener knows no deadlines, or is closed.
func (a *Acceptor) SetDeadline(t time.Time) bool { return setDeadline(a.Listener, t) }

// SyscallConn gives access to the listening socket; an error without one.
func (a *Acceptor) SyscallConn() (syscall.RawConn, error) { return rawConn(a.Listener) }
