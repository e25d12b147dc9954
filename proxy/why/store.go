package why

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"spillway/proxy"
)

// Limits bound a Store.
type Limits struct {
	Keep  int   // records, and processes that have ended
	Bytes int64 // that all of them take together
}

// Store keeps records and answers questions about them. Each method may be called by any goroutine at any time.
type Store struct {
	mu        sync.Mutex // guards all below
	limits    Limits
	since     time.Time // no record of a time after this is missing
	records   []*Record // oldest first
	byID      map[string]*Record
	bytes     int64
	processes processes
}

// New returns a Store.
func New(limits Limits) *Store {
	return &Store{
		limits: limits, since: time.Now(), byID: map[string]*Record{},
		processes: processes{byRun: map[uint64]*tenant{}, living: map[place]*tenant{}},
	}
}

// Limit changes the limits.
func (s *Store) Limit(limits Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = limits
	s.trim()
}

// Observe keeps an exchange if it is an incident; it is an observer of proxy.Options.
func (s *Store) Observe(ex *proxy.Exchange) {
	if ex.Why() == "" {
		return
	}
	r := newRecord(ex)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes.wrote(r)
	s.records = append(s.records, r)
	s.byID[r.ID] = r
	s.bytes += r.size()
	s.trim()
}

// trim drops the oldest until all are within the limits. What processes have left gets a quarter of the memory.
func (s *Store) trim() {
	forProcesses := s.limits.Bytes / 4
	for len(s.records) > s.limits.Keep || s.bytes > s.limits.Bytes-forProcesses {
		oldest := s.records[0]
		s.since = oldest.Time
		s.bytes -= oldest.size()
		delete(s.byID, oldest.ID)
		s.records[0] = nil // the array lives on
		s.records = s.records[1:]
	}
	s.processes.trim(s.limits.Keep, forProcesses)
}

// Report is what is known of a record.
type Report struct {
	Record

	// LastExit is the process of the upstream that had ended last, for a request that no process has got.
	LastExit *Process `json:"last_exit,omitempty"`

	// Killed are the processes that requests like this one have ended, for which it was refused, as far as they are known.
	Killed []*Process `json:"killed,omitempty"`
}

// Find returns what is known by an id, as it was given or as somebody has typed it. The error is for who has asked.
func (s *Store) Find(id string) (Report, error) {
	clean := proxy.CleanID(id)
	if clean == "" {
		return Report{}, fmt.Errorf("no id: %q; want 8 letters and digits, such as k7m39pqx", id[:min(len(id), 100)])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[clean]
	if r == nil {
		return Report{}, s.unknown(clean)
	}
	s.bytes -= r.size()
	s.processes.wrote(r)
	s.bytes += r.size()
	report := Report{Record: *r}
	report.Attempts = slices.Clone(r.Attempts)
	met := false
	for i := range report.Attempts {
		a := &report.Attempts[i]
		a.Process = s.processes.find(a.run)
		met = met || a.run != 0
	}
	for _, run := range r.killed {
		if p := s.processes.find(run); p != nil {
			report.Killed = append(report.Killed, p)
		}
	}
	if !met && r.Upstream != "" && r.Cause != proxy.CausePoison {
		end := r.Time.Add(time.Duration(r.Took * float64(time.Second)))
		report.LastExit = s.processes.lastBefore(r.Upstream, end)
	}
	s.trim()
	return report, nil
}

func (s *Store) unknown(id string) error {
	since := s.since.Local().Format(time.DateTime)
	switch {
	case s.limits.Keep == 0:
		return fmt.Errorf("nothing is known of %s: the configuration says why: off", id)
	case len(s.records) == 0:
		return fmt.Errorf("nothing is known of %s: no request has failed since %s", id, since)
	default:
		return fmt.Errorf("nothing is known of %s: kept are the requests that have failed since %s (%d)", id, since, len(s.records))
	}
}

// List is what is kept, in short.
type List struct {
	Kept     int       `json:"kept"`
	Bytes    int64     `json:"bytes"` // of memory, with those of processes that have ended
	Since    time.Time `json:"since"` // nothing that failed after this is missing
	Requests []Summary `json:"requests"`
}

// Summary is a record in one line.
type Summary struct {
	ID       string      `json:"id"`
	Time     time.Time   `json:"time"`
	Client   string      `json:"client"`
	Request  string      `json:"request"`
	Upstream string      `json:"upstream,omitempty"`
	Status   int         `json:"status"`
	Cause    proxy.Cause `json:"cause,omitempty"`
	Error    string      `json:"error,omitempty"` // of the last attempt that failed, or what else happened
}

// List returns all records in short, the newest first.
func (s *Store) List() List {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := List{Kept: len(s.records), Bytes: s.bytes + s.processes.bytes, Since: s.since, Requests: []Summary{}}
	for _, r := range slices.Backward(s.records) {
		list.Requests = append(list.Requests, Summary{
			ID: r.ID, Time: r.Time, Client: r.Client, Request: r.Request, Upstream: r.Upstream,
			Status: r.Status, Cause: r.Cause, Error: r.why(),
		})
	}
	return list
}

// Stats returns how much is kept.
func (s *Store) Stats() (records int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records), s.bytes + s.processes.bytes
}
