package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// portPatience is how long a start waits for ports that somebody has: when spillway was killed a moment ago, what its
	// processes had started is being killed by the guard. That takes milliseconds, and on a busy machine longer.
	portPatience = 2 * time.Second
	portPoll     = 20 * time.Millisecond
)

var errNotStarted = errors.New("backend is not started")

// Start launches Processes.Min processes and returns; they are not ready yet. A port that somebody else has is left out when
// there are others. When too few are left, the program is not found or a launch fails, nothing stays started and the backend
// is of no more use. The context bounds the start only, not the processes: Stop ends them.
func (b *Backend) Start(ctx context.Context) error {
	b.mu.Lock()
	spent := b.started || b.stop.Err() != nil
	b.started = true
	b.mu.Unlock()
	if spent {
		return fmt.Errorf("backend %s: was started or stopped before", b.opts.Name)
	}
	sealDescriptors()
	b.launcher = newLauncher()
	if err := b.launchFirst(ctx); err != nil {
		b.closeLauncher()
		b.inbox.close()
		close(b.over)
		return fmt.Errorf("backend %s: %w", b.opts.Name, err)
	}
	b.do(func() {
		for _, p := range b.processes {
			b.begin(p.place.run)
		}
		b.keepLimits()
	})
	go b.loop() // ended by Stop
	return nil
}

// launchFirst launches a run of each process, or leaves none. It finds out what would make a launch fail before anything is
// launched.
func (b *Backend) launchFirst(ctx context.Context) error {
	free, err := b.awaitUsable(ctx, b.opts.Processes.Min)
	if err != nil {
		return err
	}
	for i, pl := range b.places[:max(1, len(free))] { // also of the process that Demand is going to start
		if len(free) > 0 {
			pl = free[i]
		}
		if _, err := b.opts.command(i+1, pl.port); err != nil {
			return err
		}
	}
	for _, pl := range free {
		p := b.newProcess()
		p.place = pl
		_, err := b.launch(p, pl, b.opts)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("process %d: %w", p.number, err), b.killLaunched())
		}
	}
	return nil
}

// awaitUsable is usable, with patience for those who are about to leave.
func (b *Backend) awaitUsable(ctx context.Context, n int) ([]*place, error) {
	patience := time.After(portPatience)
	again := time.NewTicker(portPoll)
	defer again.Stop()
	for told := false; ; told = true {
		free, err := b.usable(n)
		if err == nil {
			return free, nil
		}
		if !told {
			notice(b.opts.Log, "waiting for ports", "backend", b.opts.Name, "err", err)
		}
		select {
		case <-again.C:
		case <-patience:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// usable returns the first n places whose ports nobody has.
func (b *Backend) usable(n int) ([]*place, error) {
	var usable []*place
	var taken []error
	for _, pl := range b.places {
		if len(usable) == n {
			break
		}
		if err := checkPort(pl.port); err != nil {
			taken = append(taken, err)
			continue
		}
		usable = append(usable, pl)
	}
	if len(usable) < n {
		return nil, errors.Join(taken...)
	}
	for _, err := range taken {
		b.opts.Log.Warn("port taken", "backend", b.opts.Name, "err", err)
	}
	return usable, nil
}

// killLaunched ends what a start that failed has launched.
func (b *Backend) killLaunched() (err error) {
	now, cancel := context.WithCancel(context.Background())
	cancel() // no grace
	for _, pl := range b.places {
		if pl.run != nil {
			_, endErr := pl.run.end(now)
			err = errors.Join(err, endErr)
		}
	}
	return err
}
