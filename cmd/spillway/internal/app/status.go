package app

import (
	"os"
	"time"

	"spillway/upstream"
)

// Status is the state of a running server, as /status shows it. Times are RFC 3339, sizes bytes.
type Status struct {
	Version   string           `json:"version"`
	PID       int              `json:"pid"`
	Config    string           `json:"config"`
	Started   time.Time        `json:"started"`
	Listeners []ListenerStatus `json:"listeners"`
	Upstreams []UpstreamStatus `json:"upstreams"`
	Buffers   BudgetStatus     `json:"buffers"`
	Temp      TempStatus       `json:"temp"`
}

// ListenerStatus counts the clients of a listener.
type ListenerStatus struct {
	Address  string `json:"address"`
	Accepted uint64 `json:"accepted"`
	Active   int    `json:"active"`
	Reading  int    `json:"reading"`
	Writing  int    `json:"writing"`
	Waiting  int    `json:"waiting"`
}

// BudgetStatus is how much of a budget is in use; a budget of 0 is no limit.
type BudgetStatus struct {
	InUse  int64 `json:"in_use"`
	Budget int64 `json:"budget"`
}

// TempStatus is the budget of the spill files.
type TempStatus struct {
	BudgetStatus

	Files int64 `json:"files"` // that are open
}

// UpstreamStatus is a group and its peers.
type UpstreamStatus struct {
	Name     string       `json:"name"`
	Protocol string       `json:"protocol"`
	Idle     int64        `json:"idle_connections"`
	Peers    []PeerStatus `json:"peers"`
}

// PeerStatus is a peer, with its process if spillway started it.
type PeerStatus struct {
	Address  string         `json:"address"`
	State    string         `json:"state"` // up, down (by configuration), not ready, disabled (by failures)
	Weight   int            `json:"weight"`
	Backup   bool           `json:"backup,omitempty"`
	Inflight int64          `json:"inflight"`
	Requests uint64         `json:"requests"`
	Failures uint64         `json:"failures"`
	Fails    int            `json:"fails"` // that count at present
	Process  *ProcessStatus `json:"process,omitempty"`
}

// ProcessStatus is a supervised process.
type ProcessStatus struct {
	Number   int       `json:"number"`
	PID      int       `json:"pid"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Starts   int       `json:"starts"`
	Exits    int       `json:"exits"`
	Restarts int       `json:"restarts"`
	LastExit string    `json:"last_exit"` // how the last run ended; empty before
}

// Status returns the present state.
func (a *App) Status() Status {
	now := time.Now()
	status := Status{
		Version: a.opts.Version, PID: os.Getpid(), Config: a.config.File, Started: a.started,
		Buffers: BudgetStatus{InUse: a.arena.InUse(), Budget: a.arena.Budget()},
		Temp:    TempStatus{BudgetStatus{InUse: a.spill.InUse(), Budget: a.spill.Budget()}, a.spill.Files()},
	}
	for _, l := range a.listeners {
		status.Listeners = append(status.Listeners, l.status())
	}
	for _, g := range a.current.groups {
		group := UpstreamStatus{Name: g.peers.Name(), Protocol: g.peers.Scheme(), Idle: g.peers.Idle()}
		processes := a.processes(g.peers.Name())
		for i, p := range g.peers.Peers() {
			peer := PeerStatus{
				Address: p.Address(), State: peerState(p, now), Weight: p.Weight(), Backup: p.Backup(),
				Inflight: p.Inflight(), Requests: p.Requests(), Failures: p.Failures(), Fails: p.Fails(),
			}
			if processes != nil {
				peer.Process = &processes[i]
			}
			group.Peers = append(group.Peers, peer)
		}
		status.Upstreams = append(status.Upstreams, group)
	}
	return status
}

func peerState(p *upstream.Peer, now time.Time) string {
	switch {
	case p.Down():
		return "down"
	case p.State() != upstream.Serving:
		return "not ready"
	case p.Disabled(now):
		return "disabled"
	default:
		return "up"
	}
}
