package why

import (
	"slices"
	"time"
)

// Process is a process behind a peer: it runs, unless Ended is set. The fields below that are about its end.
type Process struct {
	Upstream string `json:"upstream"`
	Number   int    `json:"number"`
	Port     int    `json:"port"`
	PID      int    `json:"pid"`

	Ended    *time.Time `json:"ended,omitempty"`
	Exit     string     `json:"exit,omitempty"`   // exit code 1, exit code 3221225477 (0xC0000005 access violation), signal SIGKILL
	Reason   string     `json:"reason,omitempty"` // exited: by itself; else why it was ended
	Uptime   float64    `json:"uptime,omitempty"` // seconds since its launch
	Requests uint64     `json:"requests"`         // that it was given
	Peak     int64      `json:"peak_memory,omitempty"`
	Output   []string   `json:"output,omitempty"` // its last lines
}

// place is where a process is while it lives.
type place struct{ port, pid int }

// tenant is a process as the Store keeps it.
type tenant struct {
	Process

	output func(from, to time.Time) []string // what it wrote then; nil: nobody knows
	runs   []uint64                          // by which attempts know it: one for each generation of its upstream; none: it never got a request
}

// processes are those that live and get requests, and those that have ended.
type processes struct {
	byRun  map[uint64]*tenant
	living map[place]*tenant
	ended  []*tenant // oldest first
	bytes  int64     // of ended
}

// Serves notes that a process gets requests from now on, by which run attempts know it, and who knows what it writes. output
// must not call the Store; nil: nobody does.
func (s *Store) Serves(run uint64, p Process, output func(from, to time.Time) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, at := &s.processes, place{p.Port, p.PID}
	t := all.living[at]
	if t == nil {
		t = &tenant{Process: p, output: output}
		all.living[at] = t
	}
	t.runs = append(t.runs, run)
	all.byRun[run] = t
}

// Ended notes how a process has ended.
func (s *Store) Ended(p Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, at := &s.processes, place{p.Port, p.PID}
	t := all.living[at]
	delete(all.living, at)
	if t == nil {
		t = &tenant{}
		all.forgetIdle(&p)
	}
	t.Process = p
	all.ended = append(all.ended, t)
	all.bytes += t.size()
	s.trim()
}

// forgetIdle drops the process that has ended at the same port before without a request. One that ends again and again before
// it is ready does not push out all others.
func (all *processes) forgetIdle(p *Process) {
	same := func(t *tenant) bool { return t.Port == p.Port && t.Upstream == p.Upstream && len(t.runs) == 0 }
	if i := slices.IndexFunc(all.ended, same); i >= 0 {
		all.bytes -= all.ended[i].size()
		all.ended = slices.Delete(all.ended, i, i+1)
	}
}

func (all *processes) trim(keep int, bytes int64) {
	for len(all.ended) > keep || all.bytes > bytes {
		oldest := all.ended[0]
		all.bytes -= oldest.size()
		for _, run := range oldest.runs {
			delete(all.byRun, run)
		}
		all.ended[0] = nil // the array lives on
		all.ended = all.ended[1:]
	}
}

// find returns a copy of a process; nil when it is not known.
func (all *processes) find(run uint64) *Process {
	if t := all.byRun[run]; t != nil {
		p := t.Process
		return &p
	}
	return nil
}

// lastBefore returns the process of an upstream that ended last before a time; when all that are kept ended later, the last
// of them.
func (all *processes) lastBefore(upstream string, end time.Time) *Process {
	var last *tenant
	for _, t := range slices.Backward(all.ended) {
		if t.Upstream != upstream {
			continue
		}
		if last == nil {
			last = t
		}
		if !t.Ended.After(end) {
			last = t
			break
		}
	}
	if last == nil {
		return nil
	}
	p := last.Process
	return &p
}

// size is the memory of a process that has ended.
func (t *tenant) size() int64 {
	return int64(processSize + len(t.Exit) + 8*len(t.runs) + linesSize(t.Output))
}

func linesSize(lines []string) (n int) {
	for _, line := range lines {
		n += lineSize + len(line)
	}
	return n
}

// late is how much later than its answer what a process wrote before it may be read.
const late = 100 * time.Millisecond

// wrote adds what the processes wrote that had the request; they may be read a moment after it has ended. What was found before
// stays: it may be gone from where it was.
func (all *processes) wrote(r *Record) {
	end := r.Time.Add(time.Duration(r.Took*float64(time.Second)) + late)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		t := all.byRun[a.run]
		if len(a.Output) > 0 || t == nil || t.Ended != nil || t.output == nil {
			continue
		}
		a.Output = lastLines(t.output(r.Time, end))
	}
}

// lastLines are those that have room in a text.
func lastLines(lines []string) []string {
	room := maxText
	for i, line := range slices.Backward(lines) {
		if room -= len(line); room < 0 {
			return lines[i+1:]
		}
	}
	return lines
}

// The memory of a process and of each line of its output, besides their texts.
const (
	processSize = 320
	lineSize    = 16
)
