package app

import (
	"time"

	"spillway/configs"
	"spillway/proxy/why"
	"spillway/upstream"
	"spillway/upstream/supervisor"
)

// What happens to processes goes to the Store of package why: under which run of their peers they got requests, and how they
// ended. Runs are numbers that no two processes have, also of different groups, so that an attempt knows its process.

func whyLimits(config *configs.Why) why.Limits {
	return why.Limits{Keep: config.Keep, Bytes: int64(config.Memory)}
}

// birth is when a process began to get requests through the peer of one group.
type birth struct {
	peer   *upstream.Peer
	before uint64 // requests of the peer until then
}

// noteRun notes that the process of a port gets requests through p; the caller holds the lock.
func (b *backend) noteRun(p *upstream.Peer, run uint64, e *supervisor.Event) {
	b.births[e.Port] = append(b.births[e.Port], birth{p, p.Requests()})
	port := e.Port
	b.why.Serves(run, why.Process{Upstream: b.name, Number: e.Process, Port: e.Port, PID: e.PID},
		func(from, to time.Time) []string { return b.supervised.Output(port, from, to) })
}

// noteEnd notes how a process has ended; the caller holds the lock.
func (b *backend) noteEnd(e *supervisor.Event) {
	requests := uint64(0)
	for _, birth := range b.births[e.Port] {
		requests += birth.peer.Requests() - birth.before
	}
	delete(b.births, e.Port)
	ended := e.Exit.At
	b.why.Ended(why.Process{
		Upstream: b.name, Number: e.Process, Port: e.Port, PID: e.PID, Ended: &ended, Exit: e.Exit.Text,
		Reason: string(e.Reason), Uptime: e.Exit.Uptime.Seconds(), Requests: requests, Peak: e.Exit.Peak, Output: e.Exit.Output,
	})
}

// Why returns what is known of the request with this id. The error says that nothing is, for who has asked.
func (a *App) Why(id string) (why.Report, error) { return a.why.Find(id) }

// Failures returns all requests that are kept because something has failed, in short.
func (a *App) Failures() why.List { return a.why.List() }

// whyStatus returns how much of that is kept; nil: nothing is to be kept.
func (a *App) whyStatus(config *configs.Why) *WhyStatus {
	if config.Keep == 0 {
		return nil
	}
	kept, bytes := a.why.Stats()
	return &WhyStatus{Kept: kept, Keep: config.Keep, Bytes: bytes, Budget: int64(config.Memory), Path: "/why"}
}
