package app

import (
	"os"
	"slices"
	"time"

	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/supervisor"
)

// Status is the state of a running server, as /status shows it. Times are RFC 3339, sizes bytes.
type Status struct {
	Version   string           `json:"version"`
	PID       int              `json:"pid"`
	Config    string           `json:"config"`
	Started   time.Time        `json:"started"`
	Loaded    LoadedStatus     `json:"generation"`
	Listeners []ListenerStatus `json:"listeners"`
	Upstreams []UpstreamStatus `json:"upstreams"`
	Buffers   BudgetStatus     `json:"buffers"`
	Temp      TempStatus       `json:"temp"`
	Why       *WhyStatus       `json:"why,omitempty"` // missing: nothing is kept
}

// LoadedStatus is the configuration that serves.
type LoadedStatus struct {
	Number     int           `json:"number"` // from 1; each reload that changes the configuration adds one
	Since      time.Time     `json:"since"`
	LastReload *ReloadStatus `json:"last_reload,omitempty"`
}

// ListenerStatus counts the clients of a listener.
type ListenerStatus struct {
	Address  string `json:"address"`
	TLS      bool   `json:"tls,omitempty"`
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

// WhyStatus is how much is kept of requests in which something has failed.
type WhyStatus struct {
	Kept   int    `json:"kept"`
	Keep   int    `json:"keep"` // at most
	Bytes  int64  `json:"bytes"`
	Budget int64  `json:"budget"`
	Path   string `json:"path"` // of the list, at the admin listener
}

// UpstreamStatus is a group and its peers.
type UpstreamStatus struct {
	Name     string         `json:"name"`
	Protocol string         `json:"protocol"`
	Idle     int64          `json:"idle_connections"`
	Queue    QueueStatus    `json:"queue"`
	Retries  RetryStatus    `json:"retries"`
	Poison   []PoisonStatus `json:"poison,omitempty"` // requests that have ended processes, the latest first
	Exits    ExitsStatus    `json:"exits,omitempty"`  // of its processes, by reason
	Names    []NameStatus   `json:"names,omitempty"`  // host names among the peers
	Peers    []PeerStatus   `json:"peers"`
}

// QueueStatus counts requests that found no free slot, or no process.
type QueueStatus struct {
	Waiting  int     `json:"waiting"` // now
	Length   int     `json:"length"`  // that may wait
	Total    uint64  `json:"total"`   // that have waited, as the others since the configuration of the upstream was loaded
	Full     uint64  `json:"full"`    // that were refused because as many as may waited already
	TimedOut uint64  `json:"timed_out"`
	OfClient uint64  `json:"client_full"` // that were refused because as many of their client as may waited already
	Seconds  float64 `json:"seconds"`     // of waiting, all together

	Lanes map[string]int `json:"lanes"`      // that wait now, by lane
	Bulk  int            `json:"bulk_slots"` // that bulk requests have now
}

// RetryStatus counts attempts that sent a request again which had reached a process.
type RetryStatus struct {
	Recent  int    `json:"recent"`  // in the last ten seconds
	Allowed int    `json:"allowed"` // in the last ten seconds, by the budget; 0: there is none
	Total   uint64 `json:"total"`   // since the configuration of the upstream was loaded, as the next one
	Denied  uint64 `json:"denied"`  // failures that were final because the budget was used up
}

// PoisonStatus is a request that has ended processes, and all that look the same.
type PoisonStatus struct {
	Method  string     `json:"method"`
	Host    string     `json:"host"`
	Path    string     `json:"path"`
	Kills   int        `json:"kills"` // ends of processes, of the last minutes
	Last    time.Time  `json:"last"`
	Until   *time.Time `json:"refused_until,omitempty"` // nil: it is not refused
	Refused int        `json:"refused"`
}

// ExitsStatus counts ends of processes by their reason.
type ExitsStatus map[supervisor.Reason]int

// PeerStatus is a peer, with its process if spillway started it.
type PeerStatus struct {
	Address      string         `json:"address"`
	Name         string         `json:"name,omitempty"` // that it was resolved from
	State        string         `json:"state"`          // up, down (by configuration), drain, coming, away (see its process), disabled (by failures), unhealthy (by probes), leaving
	Weight       int            `json:"weight"`
	Backup       bool           `json:"backup,omitempty"`
	Inflight     int64          `json:"inflight"` // those that began before a reload included, as in the next two
	Requests     uint64         `json:"requests"`
	Failures     uint64         `json:"failures"`
	Fails        int            `json:"fails"`            // that count at present
	HeadTime     float64        `json:"head_time"`        // seconds until the head of a response is there, on average; 0: not measured yet
	ResponseTime float64        `json:"response_time"`    // seconds until its last byte, on average
	Health       *HealthStatus  `json:"health,omitempty"` // missing: the peers are not probed
	Process      *ProcessStatus `json:"process,omitempty"`
}

// ProcessStatus is a port of a backend and the process that has it. While a process is replaced, its number is there twice.
type ProcessStatus struct {
	Number   int               `json:"number"` // 0: the port is a spare
	Port     int               `json:"port"`
	PID      int               `json:"pid"` // 0 while nothing runs
	State    string            `json:"state"`
	Reason   supervisor.Reason `json:"reason,omitempty"` // why it is being ended
	Since    time.Time         `json:"since"`
	Memory   int64             `json:"memory,omitempty"` // 0: not measured
	Starts   int               `json:"starts"`           // at this port, as the others
	Exits    int               `json:"exits"`
	Restarts int               `json:"restarts"`
	LastExit string            `json:"last_exit"` // how the last run ended; empty before
	LastPeak int64             `json:"last_peak_memory,omitempty"`
	Output   []string          `json:"last_output,omitempty"`
}

// Status returns the present state.
func (a *App) Status() Status {
	g := a.generation()
	status := Status{
		Version: a.opts.Version, PID: os.Getpid(), Config: g.config.File, Started: a.started,
		Loaded:  LoadedStatus{Number: g.number, Since: g.since, LastReload: a.lastReload()},
		Buffers: BudgetStatus{InUse: a.arena.InUse(), Budget: a.arena.Budget()},
		Why:     a.whyStatus(&g.config.Why),
		Temp:    TempStatus{BudgetStatus{InUse: g.spill.InUse(), Budget: g.spill.Budget()}, g.spill.Files()},
	}
	for _, l := range g.listeners {
		status.Listeners = append(status.Listeners, l.status())
	}
	for _, made := range g.groups {
		status.Upstreams = append(status.Upstreams, made.status(time.Now()))
	}
	return status
}

func (g *group) status(now time.Time) UpstreamStatus {
	queue, retries := g.peers.Queue(), g.peers.Retries(now)
	status := UpstreamStatus{
		Name: g.peers.Name(), Protocol: g.peers.Scheme(), Idle: g.peers.Idle(),
		Queue: QueueStatus{
			Waiting: queue.Waiting, Length: queue.Length, Total: queue.Total, Full: queue.Full, TimedOut: queue.TimedOut,
			Seconds: queue.Waited.Seconds(), OfClient: queue.ClientFull, Lanes: map[string]int{}, Bulk: queue.Bulk,
		},
		Retries: RetryStatus{Recent: retries.Recent, Allowed: retries.Allowed, Total: retries.Total, Denied: retries.Denied},
	}
	for lane, n := range queue.Lanes {
		status.Queue.Lanes[upstream.Lane(lane).String()] = n
	}
	status.Names = g.nameStatus()
	status.Poison = newPoisonStatus(g.poison.Suspects(now))
	processes := map[int]*ProcessStatus{}
	if g.backend != nil {
		processes = g.backend.status()
		status.Exits = g.backend.supervised.Totals().Exits
	}
	for i, p := range slices.Concat(g.peers.Peers(), g.peers.Leaving()) {
		peer := PeerStatus{
			Address: p.Address(), Name: p.Name(), State: p.Standing(now), Weight: p.Weight(), Backup: p.Backup(),
			Inflight: p.Inflight(), Requests: p.Requests(), Failures: p.Failures(), Fails: p.Fails(), Health: g.healthStatus(p),
			HeadTime: p.HeadTime().Seconds(), ResponseTime: p.ResponseTime().Seconds(),
		}
		if g.backend != nil {
			peer.Process = processes[g.ports[i]]
		}
		status.Peers = append(status.Peers, peer)
	}
	return status
}

func newPoisonStatus(suspects []relay.Suspect) []PoisonStatus {
	var all []PoisonStatus
	for i := range suspects {
		s := &suspects[i]
		shown := PoisonStatus{Method: s.Method, Host: s.Host, Path: s.Path, Kills: s.Kills, Last: s.Last, Refused: s.Refused}
		if !s.Until.IsZero() {
			shown.Until = &s.Until
		}
		all = append(all, shown)
	}
	return all
}

// status returns the state of each port.
func (b *backend) status() map[int]*ProcessStatus {
	all := map[int]*ProcessStatus{}
	states := b.supervised.Snapshot()
	for i := range states {
		p := &states[i]
		all[p.Port] = &ProcessStatus{
			Number: p.Number, Port: p.Port, PID: p.PID, State: p.State.String(), Reason: p.Reason, Since: p.Since,
			Memory: p.Memory, Starts: p.Starts, Exits: p.Exits, Restarts: p.Restarts,
			LastExit: p.LastExit.Text, LastPeak: p.LastExit.Peak, Output: p.LastExit.Output,
		}
	}
	return all
}
