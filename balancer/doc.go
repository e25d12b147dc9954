// Package balancer chooses the peer for an attempt.
//
// A Picker gets peers of one group and a Hint, and returns a usable peer that was not tried before, with a slot taken, or
// nil when nobody is left. Every picker passes contract_test.go. Pickers may be called by any number of goroutines.
//
// The methods are nginx's: RoundRobin, LeastConn, LeastTime, Hash, Ketama, IPHash and Random; Sticky is put around one of
// them. Those whose choice nginx defines are compared with nginx itself in nginx_test.go.
//
// The package does not lease connections and does not judge peers: health is upstream.Peer's own matter.
package balancer
