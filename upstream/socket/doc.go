// Package socket makes reads, writes and waits of connected sockets cheap.
//
// A Socket is a net.Conn. Where the platform allows (Linux; descriptor.go), it owns its descriptor, and Go's poller does not know it: a
// loop (loop.go) waits for thousands of them at once. Who serves a client is a Task (task.go): a coroutine that hands the thread over
// to the loop when it would have to wait, and gets it back when there is something to do. So neither a goroutine is parked and
// woken for each message, nor is a system call made to learn that there is nothing to read. A goroutine may use such a Socket, too:
// it waits at a channel. Deadlines and Close work as ever. A turn of the loop has stages (stages.go): what has come is received for many
// sockets in a row, then their tasks go on, then what these have posted is sent; a row is one system call where there is io_uring (ring.go).
// Between two turns it waits, with the processor or without it (wait.go).
//
// Everywhere else (portable.go) a Socket is the net.Conn's own, there are no tasks, and everybody is on a goroutine. On Windows it
// can write without waiting even so (now_windows.go). All pass the same tests.
//
// A Layer is a protocol on top of a Socket, such as TLS: it can be asked for Quiet as well.
//
// The package knows neither requests nor peers.
package socket
