// Package relay sends an exchange to a group of peers: attempts, retries, buffering. It is the only package that joins
// proxy, balancer, upstream and buffering.
//
// The flow of one exchange, in the order of the files: request.go holds the request body and builds what is sent;
// attempt.go leases a connection to a peer, sends and receives the head; wait.go picks the peer, or waits for one, in the lane that
// lane.go knows; deadline.go bounds all of that, and busy.go ends what takes a process too long; fields.go and rewrite.go say what
// becomes of the response's fields; retry.go decides what a failure leads to; suspect.go asks poison.go whether the request ends
// processes; divert.go leaves the answer to another location; sticky.go tells the picker about the client, and binds
// the client to its peer; response.go delivers the body, through a buffering.Pipe unless it is there already; tunnel.go is for
// one that switches protocols; run.go is what one exchange needs on this way, recycled afterwards; log.go has the lines of the
// error log, and incident.go what is noted of a failure besides.
//
// At most three goroutines serve an exchange: the client's connection, which runs Serve and later delivers the body, the
// pump that reads the peer, or what passes on a tunnel's upload, and the watch of the client's connection, which may only cancel.
//
// The package chooses no peer itself, speaks no wire language and accepts no client.
package relay
