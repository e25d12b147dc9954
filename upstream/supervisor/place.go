package supervisor

import "time"

// place is a port. A process takes it for a run, keeps it while it waits for its next one, and gives it back when it has moved
// to another or is not needed any more.
type place struct {
	port    int
	retired bool     // an Update has taken the port away: no run begins here, and the place is dropped once it is free
	process *process // nil: free
	run     *run     // nil: nothing runs here

	state ProcessState // guarded by Backend.mu
	tail  *tail        // of the run, or of the last one that was here; nil: there was none; guarded by Backend.mu
	told  State        // the last state of which OnEvent knows; guarded by Backend.mu
}

func newPlace(port int) *place {
	return &place{port: port, state: ProcessState{Port: port, Since: time.Now()}}
}

// at returns the place with this port; nil: there is none.
func (b *Backend) at(port int) *place {
	for _, pl := range b.places {
		if pl.port == port {
			return pl
		}
	}
	return nil
}

// spares returns the places at which a run may begin.
func (b *Backend) spares() []*place {
	var free []*place
	for _, pl := range b.places {
		if pl.process == nil && !pl.retired {
			free = append(free, pl)
		}
	}
	return free
}

// spareComing says whether a place is to be free soon.
func (b *Backend) spareComing() bool {
	for _, pl := range b.places {
		if pl.process != nil && !pl.retired && (pl.process.leaving || pl.process.place != pl) {
			return true
		}
	}
	return false
}

// free gives the place back.
func (b *Backend) free(pl *place) {
	number := pl.process.number
	pl.process = nil
	b.become(pl, Event{State: Idle, Process: number})
	if pl.retired {
		b.drop(pl)
	}
}

func (b *Backend) drop(pl *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := make([]*place, 0, len(b.places)) // Snapshot may be reading the old ones
	for _, other := range b.places {
		if other != pl {
			kept = append(kept, other)
		}
	}
	b.places = kept
}

// become notes the new state of a place and tells of it.
func (b *Backend) become(pl *place, e Event) {
	e.Port = pl.port
	if pl.process != nil {
		e.Process, e.Restarts = pl.process.number, max(0, pl.process.starts-1)
	}
	b.mu.Lock()
	pl.note(e)
	b.totals.note(e)
	b.mu.Unlock()

	b.opts.OnEvent(e)

	// Who waits for the process finds that the event has done its work: its address is in use.
	b.mu.Lock()
	pl.told = e.State
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
}

// note needs Backend.mu.
func (pl *place) note(e Event) {
	s := &pl.state
	s.State, s.Since, s.Number, s.Reason = e.State, time.Now(), e.Process, e.Reason
	switch e.State {
	case Idle:
		s.Number = 0
	case Starting:
		s.PID, s.Memory = e.PID, 0
		s.Starts++
		if e.Restarts > 0 {
			s.Restarts++
		}
	case Exited:
		s.PID, s.Memory = 0, 0
		s.Exits++
		s.LastExit = e.Exit
	default:
	}
}

// note needs Backend.mu.
func (t *Totals) note(e Event) {
	switch e.State {
	case Starting:
		t.Starts++
		if e.Restarts > 0 {
			t.Restarts++
		}
	case Exited:
		t.Exits[e.Reason]++
	case Failed:
		t.GivenUp++
	default:
	}
}
