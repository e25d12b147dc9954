package metrics

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/proxy"
)

// maxSeries bounds the upstreams, and the peers of each, for which counters are kept: a peer's take 4 KiB.
const maxSeries = 1024

// upstream are the counters of one upstream; those of name "" are of exchanges that asked none.
type upstream struct {
	name  string
	peers atomic.Pointer[[]*peer] // immutable; replaced under Metrics.mu

	request prometheus.Histogram // from the request's head to the last byte of the response
	head    prometheus.Histogram // of an attempt
	connect prometheus.Histogram // of an attempt
	waited  prometheus.Histogram // of exchanges that had to wait for a slot or a process

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

// newUpstream makes the counters. The bounds of the histograms reach from an answer out of memory to nginx's timeout of
// 60 s, and those of connect from loopback to the 2 s that Windows takes to report a refused connection.
func newUpstream(name string) *upstream {
	histogram := func(metric, help string, bounds []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metric, Help: help, Buckets: bounds, ConstLabels: prometheus.Labels{"upstream": name},
		})
	}
	long := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	short := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 2.5}
	u := &upstream{
		name:    name,
		request: histogram("spillway_request_seconds", "Time from a request's head to the end of its response.", long),
		head:    histogram("spillway_attempt_head_seconds", "Time until a peer's response head was there.", long),
		connect: histogram("spillway_attempt_connect_seconds", "Time until the connection to a peer was there.", short),
		waited:  histogram("spillway_queue_wait_seconds", "Time that a request waited for a slot or a process, of those that did.", long),
	}
	u.peers.Store(&[]*peer{})
	return u
}

func (u *upstream) find(address string) *peer {
	for _, p := range *u.peers.Load() {
		if p.address == address {
			return p
		}
	}
	return nil
}

// add makes the counters of a peer; the caller holds Metrics.mu.
func (u *upstream) add(address string) {
	old := *u.peers.Load()
	if u.find(address) != nil || len(old) >= maxSeries {
		return
	}
	next := slices.Concat(old, []*peer{{address: address}})
	u.peers.Store(&next)
}
