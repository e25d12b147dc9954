// Package upstream knows the groups of peers and lends connections to them.
//
// A Group is nginx's upstream block: a name, a Protocol and the peers that serve one application. A Peer is one address;
// it lends connections (Lease, Release), counts what is in flight and remembers failures by nginx's rules (max_fails,
// fail_timeout). A Conn is one connection, with the timeouts of the attempt that leased it; every error that it returns
// is an *Error that carries nginx's words for the error log. A Protocol is a wire language: it turns a Request into bytes
// on a Conn, and the answer into a Response. Fields that must not cross a proxy are dropped here, in Response.AddField,
// for all protocols alike.
//
// The life of an attempt: Peer.Lease, Protocol.Send, Protocol.Receive, reads of Response.Body until io.EOF, Conn.Release
// with Reusable or Spent, Peer.Report with the Outcome. Conn.Cancel may be called by another goroutine at any time
// between Lease and Release.
//
// Locks: Peer.mu is a leaf; it is never held during I/O or a callback.
//
// The package does not choose a peer (package balancer), does not retry (proxy/relay), starts no process
// (upstream/supervisor) and knows no client.
package upstream
