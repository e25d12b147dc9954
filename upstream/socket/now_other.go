//go:build !windows

package socket

import "net"

// now is there for Windows: elsewhere a socket that no loop waits for cannot tell.
type now struct{}

func (now) bind(net.Conn) {}

func (now) write(*net.Buffers) int64 { return 0 }
