package metrics

import (
	"slices"
	"sync/atomic"

	"spillway/proxy"
)

// maxSeries bounds the upstreams, and the peers of each, for which counters are kept: a peer's take 4 KiB.
const maxSeries = 1024

// upstream are the counters of one upstream; those of name "" are of exchanges that asked none.
type upstream struct {
	name  string
	peers atomic.Pointer[[]*peer] // immutable; replaced under Metrics.mu

	request histogram // from the request's head to the last byte of the response
	head    histogram // of an attempt
	connect histogram // of an attempt
	waited  histogram // of exchanges that had to wait for a slot or a process

	codes  codes
	causes [len(causes)]codes

	retries, truncated, spills, panics    atomic.Uint64
	spilledBytes, sentBytes, requestBytes atomic.Uint64
}

// peer are the counters of the attempts on one peer.
type peer struct {
	address string
	codes   codes
}

// codes is a counter for each status from 0, for none, to 599.
type codes [600]atomic.Uint64

func (c *codes) add(status int) {
	if status < 0 || status >= len(c) {
		status = 0
	}
	c[status].Add(1)
}

// causes are the values of the label cause.
var causes = [...]proxy.Cause{
	proxy.CauseRefused, proxy.CauseFailed, proxy.CauseTimeout, proxy.CauseInvalid, proxy.CauseNoPeers,
	proxy.CauseQueueFull, proxy.CauseClientFull, proxy.CauseNoSlot, proxy.CauseNoProcess, proxy.CauseStuck, proxy.CausePoison, proxy.CauseDeadline,
	proxy.CauseClientGone, proxy.CauseRequestBody, proxy.CauseInternal, "other",
}

func causeIndex(cause proxy.Cause) int {
	for i, known := range causes {
		if cause == known {
			return i
		}
	}
	return len(causes) - 1
}

// newUpstream makes the counters.
func newUpstream(name string) *upstream {
	u := &upstream{
		name:    name,
		request: newHistogram("spillway_request_seconds", "Time from a request's head to the end of its response.", name, longBounds),
		head:    newHistogram("spillway_attempt_head_seconds", "Time until a peer's response head was there.", name, longBounds),
		connect: newHistogram("spillway_attempt_connect_seconds", "Time until the connection to a peer was there.", name, shortBounds),
		waited: newHistogram("spillway_queue_wait_seconds", "Time that a request waited for a slot or a process, of those that did.",
			name, longBounds),
	}
	u.peers.Store(&[]*peer{})
	return u
}

// find returns the counters of a peer, nil if there are none; it looks first where they were made for the group's peer of that index.
func (u *upstream) find(address string, index int) *peer {
	peers := *u.peers.Load()
	if index < len(peers) && peers[index].address == address {
		return peers[index]
	}
	for _, p := range peers {
		if p.address == address {
			return p
		}
	}
	return nil
}

// add makes the counters of a peer; the caller holds Metrics.mu.
func (u *upstream) add(address string) {
	old := *u.peers.Load()
	if u.find(address, 0) != nil || len(old) >= maxSeries {
		return
	}
	next := slices.Concat(old, []*peer{{address: address}})
	u.peers.Store(&next)
}
