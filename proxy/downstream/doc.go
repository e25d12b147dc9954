// Package downstream accepts clients and turns their requests into exchanges.
//
// # The flow of one request
//
//  1. listen.go opens the listener, accept.go keeps accepting whatever happens, and each client becomes a conn.
//  2. A turn begins when the client has sent something (turn.go), and ends when there is nothing to read: an idle client has neither a
//     stack nor buffers.
//  3. With TLS the first turn begins with the handshake; then a layer is between the conn and its socket (secure.go).
//  4. The conn (conn.go) reads a whole head and lets guard.go check every byte of it, so that fasthttp parses only heads that have
//     one meaning. What follows is framed and decoded here (body.go, chunked.go); a body that ends early is an error.
//  5. h1.go fills an exchange from the parsed head (target.go, host.go) and has the proxy.Front serve it.
//  6. send.go writes the response to the socket: a small one in one write with its head, framing included.
//  7. proxy.Exchange.Finish, exactly once, with the error of the sending.
//
// sweep.go walks all connections a few times a second: it ends waits that are over, instead of two timers per request,
// and watches for clients that leave while their request is being served (watch.go). tunnel.go is for a client that goes on in
// another protocol. pace.go holds a response to a rate. drain.go tells how a listener is given up without harm to a client that
// only sends requests.
//
// # Rules
//
// A malformed request is answered with nginx's error page, logged as "request refused" and its connection closed; nothing
// of it reaches a handler. Everything a handler borrows from the exchange is valid until Finish. The body of a request is
// read by one goroutine at a time, and by none but that of Content.WriteTo once Serve has returned. A handler that waits for anything
// but the sockets of the exchange has its Task leave first.
//
// # Locks
//
// Listener.mu guards the set of connections, conn.mu the watch for a client that leaves; mu of the Listener first. No
// lock is held during a read or write, but those of crypto/tls: see secure.go.
//
// # What it does not do
//
// No HTTP/2, no certificates of clients, no PROXY protocol, no limits per client address. It knows neither routes nor upstreams.
package downstream
