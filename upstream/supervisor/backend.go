package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrStopped is returned by WaitReady when the backend is stopped.
var ErrStopped = errors.New("backend is stopped")

// Backend is a program of which a number of processes run.
type Backend struct {
	opts      Options    // read only after New
	processes []*process // read only after New; their state is guarded by mu

	launcher *launcher       // from Start to the end of Stop
	stop     context.Context // ends when the processes are to stop
	stopAll  context.CancelFunc
	hurry    context.Context // ends when they are to be killed
	killAll  context.CancelFunc
	running  sync.WaitGroup // one for each supervising goroutine

	mu      sync.Mutex // guards all below
	started bool
	changed chan struct{} // closed and replaced when a process's event was delivered
	left    error         // what survived its kill
}

// New checks the options and returns a backend of which nothing runs yet.
func New(opts Options) (*Backend, error) {
	opts.setDefaults()
	if err := errors.Join(opts.check(), opts.resolveDirectory()); err != nil {
		return nil, fmt.Errorf("backend %s: %w", opts.Name, err)
	}
	opts.Command, opts.Ports = slices.Clone(opts.Command), slices.Clone(opts.Ports)
	b := &Backend{opts: opts, changed: make(chan struct{})}
	b.stop, b.stopAll = context.WithCancel(context.Background())
	b.hurry, b.killAll = context.WithCancel(context.Background())
	for i := range opts.Processes {
		number, port := i+1, opts.Ports[i]
		b.processes = append(b.processes, &process{
			backend: b, number: number, port: port,
			log:     opts.Log.With("backend", opts.Name, "process", number, "port", port),
			backoff: backoff{min: opts.BackoffMin, max: opts.BackoffMax},
			state:   ProcessState{Number: number, Port: port, Since: time.Now()},
		})
	}
	return b, nil
}

// Start launches all processes and returns; they are not ready yet. When a port is taken, the program is not found or a
// launch fails, nothing stays started and the backend is of no more use. The context bounds the start only, not the
// processes: Stop ends them.
func (b *Backend) Start(ctx context.Context) error {
	b.mu.Lock()
	spent := b.started || b.stop.Err() != nil
	b.started = true
	b.mu.Unlock()
	if spent {
		return fmt.Errorf("backend %s: was started or stopped before", b.opts.Name)
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("backend %s: %w", b.opts.Name, err)
	}
	sealDescriptors()
	b.launcher = newLauncher()
	runs, err := b.launch(ctx)
	if err != nil {
		b.closeLauncher()
		return fmt.Errorf("backend %s: %w", b.opts.Name, err)
	}
	for i, p := range b.processes {
		b.running.Go(func() { p.supervise(runs[i]) }) // ended by Stop
	}
	return nil
}

// check finds out what would make a launch fail before anything is launched.
func (b *Backend) check() error {
	for _, p := range b.processes {
		if err := checkPort(p.port); err != nil {
			return err
		}
		if _, err := b.opts.command(p.number, p.port); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a run of each process, or leaves none.
func (b *Backend) launch(ctx context.Context) ([]*run, error) {
	runs := make([]*run, 0, len(b.processes))
	for _, p := range b.processes {
		r, err := p.launch()
		if err == nil {
			runs = append(runs, r)
			err = ctx.Err()
		}
		if err == nil {
			continue
		}
		now, cancel := context.WithCancel(ctx)
		cancel() // no grace
		for _, r := range runs {
			_, endErr := r.end(now)
			err = errors.Join(err, endErr)
		}
		return nil, fmt.Errorf("process %d: %w", p.number, err)
	}
	return runs, nil
}

// WaitReady waits until at least n processes are ready at the same time and OnEvent has heard of it. It returns ErrStopped when the backend is
// stopped, and says how many were ready when ctx ends.
func (b *Backend) WaitReady(ctx context.Context, n int) error {
	for {
		b.mu.Lock()
		changed, ready := b.changed, 0
		for _, p := range b.processes {
			if p.told == Ready {
				ready++
			}
		}
		b.mu.Unlock()
		if ready >= n {
			return nil
		}
		select {
		case <-changed:
		case <-b.stop.Done():
			return ErrStopped
		case <-ctx.Done():
			return fmt.Errorf("backend %s: %d of %d processes ready: %w", b.opts.Name, ready, len(b.processes), ctx.Err())
		}
	}
}

// Snapshot returns what is known of each process, in the order of their numbers.
func (b *Backend) Snapshot() []ProcessState {
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make([]ProcessState, len(b.processes))
	for i, p := range b.processes {
		states[i] = p.state
	}
	return states
}

// Stop asks all processes to end, kills with their trees those that have not after StopTimeout, or when ctx ends, and
// returns when all are gone. With an error some have survived their kill, which takes a hang in the kernel.
func (b *Backend) Stop(ctx context.Context) error {
	b.stopAll()
	defer context.AfterFunc(ctx, b.killAll)()
	b.running.Wait()
	b.killAll() // nothing waits for it any more
	b.closeLauncher()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != nil {
		return fmt.Errorf("backend %s: %w", b.opts.Name, b.left)
	}
	return nil
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
