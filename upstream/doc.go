// Package upstream knows the groups of peers and lends connections to them.
//
// A Group is nginx's upstream block: a name, a Protocol and the peers that serve one application. A Peer is one address;
// it lends connections (Lease, Release), counts what is in flight and remembers failures by nginx's rules (max_fails,
// fail_timeout). A Conn is one connection, with the timeouts of the attempt that leased it; every error that it returns
// is an *Error that carries nginx's words for the error log. With a tls.Config in its options a group makes TLS connections
// (tls.go). A Protocol is a wire language: it turns a Request into bytes on a Conn, and the answer into a Response. Fields that must
// not cross a proxy are dropped here, in Response.AddField, for all protocols alike.
//
// The life of an attempt: Peer.Take, which a picker calls as the last step of its choice, Peer.Lease, Protocol.Send,
// Protocol.Receive, reads of Response.Body until io.EOF, Conn.Release with Reusable or Spent, Peer.Report with the Outcome,
// Peer.Free. Conn.Cancel may be called by another goroutine at any time between Lease and Release.
//
// What speaks against a peer that serves is in Peer.PassedOver: failures, and the verdict of probes (SetHealth), which a
// package of its own sends (upstream/health). Neither leaves a group without anybody to ask.
//
// A peer has a State: only one that is Serving gives away slots. Who wants to stop a process calls Peer.SetState with Coming
// or Away and then Peer.Drained; after that nobody uses the peer until it is Serving again. A request that finds no slot
// waits in the group's queue (queue.go has the flow), if the group has one: queued for a slot, or held for a process that
// is Coming. Those that wait take turns: by lanes, by clients, and by the order in which they first asked (lane.go).
//
// When the settings of a group change, another Group takes its place while requests of both are under way. What is known of the
// processes is common to both (account.go).
//
// Peers come and go (members.go): Peers is a snapshot, which may show a peer for a moment longer than it is in the group. Such a
// one is Gone and gives away no slot.
//
// Locks, in this order: queue.mu; the lock of a picker; Peer.mu, which is that of its account, or Peer.idleMu, never both. Of two
// groups no queue.mu are held together. Group.membership is held together with none of them, but for Peer.mu of a peer that is
// being added. The queue calls Waiter.Pick and Waiter.Tried with its lock held, which is what
// lets nobody overtake; all other callbacks are called without a lock. None is held during I/O.
//
// The package does not choose a peer (package balancer), does not retry (proxy/relay), starts no process
// (upstream/supervisor) and knows no client.
package upstream
