package relay

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// A run gets its peer in two ways:
//
//  1. pick asks the picker. That is all, as long as some peer has a free slot and nobody waits;
//  2. wait joins the group's queue, which asks the picker by pickFrom as soon as there is something to choose from. A
//     request that was tried on all peers waits there, too, for one that has got another process.

// retryAfter is what a client is told that got no peer: long enough for a process to start, short enough for a visitor.
const retryAfter = 5 * time.Second

// visit is a peer that the exchange was tried on.
type visit struct {
	peer *upstream.Peer
	run  uint64 // its process, by Peer.Runs
}

// is says whether both were at the same process, maybe through the peers of a group and of its successor.
func (v visit) is(other visit) bool {
	return v.run == other.run && (v.peer == other.peer || v.peer.Shares(other.peer))
}

// take chooses the peer of the next attempt and takes its slot; free gives it back.
func (r *run) take() error {
	p, err := r.pick()
	r.peer, r.holds = p, err == nil
	if err == nil {
		r.flight = p.Depart(r.hint.Now)
	}
	return err
}

func (r *run) free() {
	r.holds = false
	r.flight.Land()
	r.putBack(r.peer)
}

// pick returns a peer with a slot taken. A retry does not queue behind those that came later.
func (r *run) pick() (*upstream.Peer, error) {
	opts := &r.h.opts
	r.hint.Now = r.now()
	r.noteTried()
	if len(r.visits) > 0 || !opts.Group.Crowded() {
		if p := r.choose(opts.Group.Peers()); p != nil {
			return p, nil
		}
	}
	return r.wait()
}

// now returns the time for an attempt that begins. The first one of an exchange begins with it, unless its body was waited for or
// another location has had it before: then the clock has just been read.
func (r *run) now() time.Time {
	ex := r.ex
	if r.started.IsZero() && ex.Body == nil && ex.Hops() == 0 && !ex.Start.IsZero() {
		return ex.Start
	}
	return time.Now()
}

// wait waits for a peer, as far as the group lets requests wait.
func (r *run) wait() (*upstream.Peer, error) {
	w, ex := &r.waiter, r.ex
	if w.Since.IsZero() {
		w.Since, w.Client = r.hint.Now, clientOf(ex.RemoteAddr)
	}
	w.Retry = len(r.visits) > 0
	w.Until = r.until
	if limit := r.h.opts.Retry.Timeout; limit > 0 && w.Retry {
		if end := r.started.Add(limit); w.Until.IsZero() || end.Before(w.Until) {
			w.Until = end
		}
	}
	ex.Task.Leave()
	r.h.opts.Group.Join(w)
	if !r.h.opts.Finish {
		ex.OnGone(r.onLeave)
	}
	p, err := w.Await()
	ex.OnGone(nil)
	ex.Queued = w.Total
	if err == nil && !r.h.opts.Finish && ex.Gone() {
		r.putBack(p)
		err = upstream.ErrLeft
	}
	if err != nil {
		return nil, r.unserved(err)
	}
	return p, nil
}

// pickFrom is upstream.Waiter's Pick.
func (r *run) pickFrom(from []*upstream.Peer) *upstream.Peer {
	r.hint.Now = time.Now()
	r.noteTried()
	p := r.choose(from)
	if p == nil && r.forgetRestarted() {
		p = r.choose(from)
	}
	return p
}

// noteTried says which peers need not be asked again. One that has left the group is not among them: another may have its index.
func (r *run) noteTried() {
	r.hint.Tried.Clear()
	for _, v := range r.visits {
		if v.peer.State() != upstream.Gone {
			r.hint.Tried.Add(v.peer.Index())
		}
	}
}

// left counts the peers that were tried and have left the group since, or have no process any more.
func (r *run) left() int {
	n := 0
	for _, v := range r.visits {
		if state := v.peer.State(); state == upstream.Gone || state == upstream.Away {
			n++
		}
	}
	return n
}

// forgetRestarted makes those peers usable again that have got another process since they were tried.
func (r *run) forgetRestarted() bool {
	left := r.visits[:0]
	for _, v := range r.visits {
		if v.peer.Runs() == v.run {
			left = append(left, v)
		}
	}
	forgot := len(left) < len(r.visits)
	r.visits = left
	r.noteTried()
	return forgot
}

// triedProcess is upstream.Waiter's Tried.
func (r *run) triedProcess(p *upstream.Peer) bool {
	for _, v := range r.visits {
		if v.peer == p {
			return v.run == p.Runs()
		}
	}
	return false
}

// unserved ends an exchange that got no peer.
func (r *run) unserved(err error) error {
	r.peer = nil // the lines below are about the group
	if errors.Is(err, upstream.ErrLeft) {
		r.logLeftQueue()
		return &proxy.StatusError{Code: proxy.StatusClientGone, Cause: proxy.CauseClientGone, Err: err}
	}
	r.incident()
	group := r.h.opts.Group
	switch {
	case errors.Is(err, upstream.ErrLate) && r.late():
		return r.tooLate()
	case errors.Is(err, upstream.ErrLate) && r.last != nil:
		return r.last
	case errors.Is(err, upstream.ErrQueueFull):
		r.logQueueFull(group.Queue().Length)
		return r.later(proxy.CauseQueueFull, err)
	case errors.Is(err, upstream.ErrClientFull):
		r.logClientFull(group.PerClient())
		return r.later(proxy.CauseClientFull, err)
	case errors.Is(err, upstream.ErrNoSlot):
		r.logNoSlot(group.QueueTimeout())
		return r.later(proxy.CauseNoSlot, err)
	case errors.Is(err, upstream.ErrNoProcess):
		r.logNoProcess(group.HoldTimeout())
		return r.later(proxy.CauseNoProcess, err)
	case r.final != nil:
		return r.final
	case r.last != nil && r.last.Cause != proxy.NoCause && group.Supervised(): // nginx, which has no processes, would say "no live upstreams"
		return r.last
	default:
		return r.noPeers()
	}
}

// clientOf returns whose request it is, for the fairness of the queue: the address, of IPv6 the 64 bits that a client has
// been given as a whole.
func clientOf(address string) netip.Addr {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{} // a unix socket
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return addr
}

// later is the answer to a request that may be served when it comes again.
func (r *run) later(cause proxy.Cause, err error) error {
	r.noAttempt(http.StatusServiceUnavailable, err)
	return &proxy.StatusError{Code: http.StatusServiceUnavailable, Cause: cause, Err: err, RetryAfter: retryAfter}
}

// noPeers ends an exchange that nobody can take.
func (r *run) noPeers() error {
	r.logNoPeers()
	r.noAttempt(http.StatusBadGateway, upstream.ErrNoPeers)
	return &proxy.StatusError{Code: http.StatusBadGateway, Cause: proxy.CauseNoPeers, Err: upstream.ErrNoPeers}
}

// noAttempt records, as nginx does, an attempt on the group as a whole.
func (r *run) noAttempt(status int, err error) {
	r.ex.Attempts = append(r.ex.Attempts, proxy.Attempt{
		Upstream: r.h.opts.Group.Name(), Peer: r.h.opts.Group.Name(), Hop: r.ex.Hops(), Began: time.Now(), Status: status,
		Connect: noTime, Head: noTime, Response: 0, Phase: upstream.Connecting.String(), Err: err,
	})
}

// seconds is a length of time as the configuration writes it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
