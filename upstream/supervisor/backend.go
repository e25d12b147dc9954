package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"spillway/upstream/host"
)

// ErrStopped is returned by what waits for processes when the backend is stopped.
var ErrStopped = errors.New("backend is stopped")

// Backend is a program of which a number of processes run.
type Backend struct {
	name    string         // read only after New
	inbox   inbox          // what the loop is to do
	over    chan struct{}  // closed when the loop has ended
	helpers sync.WaitGroup // goroutines that wait for something and tell the loop

	launcher *launcher       // from Start to the end of Stop
	stop     context.Context // ends when the processes are to stop
	stopAll  context.CancelFunc
	hurry    context.Context // ends when they are to be killed
	killAll  context.CancelFunc
	rolling  chan struct{} // holds one token while a Restart or an Update goes on

	// Of the loop alone, and of Start before it.
	opts      *Options       // in force; changed with mu held; what it points to never changes
	places    []*place       // in the order of the ports; changed with mu held
	processes []*process     // in the order of their numbers
	queue     []*replacement // wait for their turn
	replacing *replacement   // the one that goes on; nil: none
	measuring bool           // memory is polled
	scaling   bool           // the number of processes is looked at every second
	updating  bool           // an Update goes on: how many processes there are is up to it
	stopping  bool           // Stop was called

	demanded atomic.Bool // Demand is in the inbox

	mu      sync.Mutex // guards all below, and the state of places
	started bool
	changed chan struct{} // closed and replaced when an event was delivered
	left    error         // what survived its kill
	totals  Totals
}

// New checks the options and returns a backend of which nothing runs yet.
func New(opts Options) (*Backend, error) {
	if err := opts.finish(); err != nil {
		return nil, err
	}
	b := &Backend{
		name: opts.Name, opts: &opts, changed: make(chan struct{}), over: make(chan struct{}), rolling: make(chan struct{}, 1),
		totals: Totals{Exits: make(map[Reason]int)},
	}
	b.inbox.wake = make(chan struct{}, 1)
	b.stop, b.stopAll = context.WithCancel(context.Background())
	b.hurry, b.killAll = context.WithCancel(context.Background())
	for _, port := range opts.Ports {
		b.places = append(b.places, newPlace(port))
	}
	return b, nil
}

// ErrNoneReady is returned by WaitFirst when each process has ended before it was ready.
var ErrNoneReady = errors.New("every process has ended before it was ready")

// WaitReady waits until at least n processes are ready at the same time and OnEvent has heard of it. It returns ErrStopped when
// the backend is stopped, and says how many were ready when ctx ends.
func (b *Backend) WaitReady(ctx context.Context, n int) error { return b.wait(ctx, n, false) }

// WaitFirst waits until a process is ready, as WaitReady does, but no longer than there is hope: when each process has ended
// once without one being ready it returns ErrNoneReady. They are started again all the same.
func (b *Backend) WaitFirst(ctx context.Context) error { return b.wait(ctx, 1, true) }

func (b *Backend) wait(ctx context.Context, n int, hoping bool) error {
	for {
		b.mu.Lock()
		changed, ready, ended, opts := b.changed, 0, 0, b.opts
		for _, pl := range b.places {
			switch {
			case pl.told == Ready:
				ready++
			case pl.state.Exits > 0:
				ended++
			}
		}
		b.mu.Unlock()
		switch {
		case ready >= n:
			return nil
		case hoping && ready == 0 && ended >= max(1, opts.Processes.Min):
			return fmt.Errorf("backend %s: %w", b.name, ErrNoneReady)
		}
		select {
		case <-changed:
		case <-b.stop.Done():
			return ErrStopped
		case <-ctx.Done():
			return fmt.Errorf("backend %s: %d of %d processes ready: %w", b.name, ready, opts.Processes.Max, ctx.Err())
		}
	}
}

// Snapshot returns what is known of each port, in the order of Options.Ports. While an Update changes the ports, the ones that go
// come first.
func (b *Backend) Snapshot() []ProcessState {
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make([]ProcessState, len(b.places))
	for i, pl := range b.places {
		states[i] = pl.state
	}
	return states
}

// Lives says whether the process at a port is ready and has not begun to end, of which the backend may not have heard yet. It is
// false where that is not to be found out, too.
func (b *Backend) Lives(port int) bool {
	b.mu.Lock()
	pl, pid := b.at(port), 0
	if pl != nil && pl.state.State == Ready {
		pid = pl.state.PID
	}
	b.mu.Unlock()
	return pid != 0 && host.Lives(pid)
}

// Output returns the lines that the process at a port has written in a span of time, of its last 20.
func (b *Backend) Output(port int, from, to time.Time) []string {
	b.mu.Lock()
	pl := b.at(port)
	var last *tail
	if pl != nil {
		last = pl.tail
	}
	b.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.between(from, to)
}

// Totals returns what has been counted since New.
func (b *Backend) Totals() Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	totals := b.totals
	totals.Exits = maps.Clone(totals.Exits)
	return totals
}

// Stop asks all processes to end, kills with their trees those that have not after StopTimeout, or when ctx ends, and
// returns when all are gone. Before, each is given DrainTimeout for its requests, see Options.Drain. A Restart or an Update that
// goes on ends at once. With an error some processes have survived their kill, which takes a hang in the kernel.
func (b *Backend) Stop(ctx context.Context) error {
	b.stopAll()
	defer context.AfterFunc(ctx, b.killAll)()
	b.mu.Lock()
	started := b.started
	b.mu.Unlock()
	if started {
		b.do(b.shutDown)
		<-b.over
	}
	b.helpers.Wait()
	b.killAll() // nothing waits for it any more
	b.closeLauncher()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != nil {
		return fmt.Errorf("backend %s: %w", b.name, b.left)
	}
	return nil
}

// shutDown ends all that runs, and what waits.
func (b *Backend) shutDown() {
	if b.stopping {
		return
	}
	b.stopping = true
	if b.replacing != nil {
		b.queue = append(b.queue, b.replacing)
	}
	for _, rep := range b.queue {
		rep.answer(ErrStopped)
	}
	b.queue, b.replacing = nil, nil
	for _, pl := range b.places {
		switch {
		case pl.run != nil:
			b.leave(pl.run, ReasonStop)
		case pl.process != nil:
			stopTimer(pl.process.timer)
			b.become(pl, Event{State: Stopped})
		}
	}
}

func (b *Backend) closeLauncher() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.launcher != nil {
		b.launcher.close()
		b.launcher = nil
	}
}

func (b *Backend) leftBehind(number, pid int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = errors.Join(b.left, fmt.Errorf("process %d, pid %d: %w", number, pid, err))
}
