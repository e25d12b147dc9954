//go:build race || !linux || !(amd64 || arm64)

package socket

import (
	"net"
	"syscall"
)

// transfer is the net.Conn's own reading and writing.
type transfer struct{}

func (*transfer) bind(syscall.RawConn) {}

func (*transfer) read(conn net.Conn, p []byte) (int, error) { return conn.Read(p) }

func (*transfer) write(conn net.Conn, p []byte) (int, error) { return conn.Write(p) }

func (*transfer) writeBuffers(conn net.Conn, pieces *net.Buffers) (int64, error) {
	return pieces.WriteTo(conn)
}
