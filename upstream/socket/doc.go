// Package socket makes reads and writes of connected sockets cheap.
//
// A Socket is a net.Conn. Where the platform allows (linux.go), a Read or Write is one non-blocking system call without
// the scheduler's bookkeeping for calls that may block, and parks in Go's network poller when there is nothing to do, so
// deadlines and Close work as ever. Everywhere else, and under the race detector, which has to see the transfers, it is the
// net.Conn's own (portable.go); both pass the same tests. BenchmarkSocket compares the two.
//
// A Layer is a protocol on top of a Socket, such as TLS: it uses the net.Conn's own way, and can be asked for Quiet as well.
//
// The package knows neither requests nor peers.
package socket
