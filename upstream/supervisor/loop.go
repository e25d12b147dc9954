package supervisor

import (
	"context"
	"sync"
)

// The loop is the one goroutine that decides. What takes time is done by others, which leave word in the inbox:
//
//  1. do puts a job into the inbox: of a helper that has waited for something, of a timer, of a caller of Recycle.
//  2. loop takes the jobs one after the other. None of them waits for anything; only Options.OnEvent may hold them up.
//  3. After each job the next replacement begins if it can, see proceed.
//  4. The loop ends when Stop was called and nothing runs any more.

// inbox holds what the loop is to do.
type inbox struct {
	wake chan struct{} // holds one token when there are jobs

	mu     sync.Mutex
	jobs   []func()
	closed bool // the loop has ended: nobody takes jobs any more
}

// do has the loop call job and returns at once; once the loop has ended, job is dropped.
func (b *Backend) do(job func()) {
	if !b.inbox.put(job) {
		return
	}
	select {
	case b.inbox.wake <- struct{}{}:
	default: // there is a token already
	}
}

func (i *inbox) put(job func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.jobs = append(i.jobs, job)
	}
	return !i.closed
}

func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jobs, i.closed = nil, true
}

func (i *inbox) take() []func() {
	i.mu.Lock()
	defer i.mu.Unlock()
	jobs := i.jobs
	i.jobs = nil
	return jobs
}

// loop is ended by Stop.
func (b *Backend) loop() {
	defer close(b.over)
	defer b.inbox.close()
	for !b.stopping || b.anyRuns() {
		<-b.inbox.wake
		for _, job := range b.inbox.take() {
			job()
			b.proceed()
		}
	}
}

func (b *Backend) anyRuns() bool {
	for _, pl := range b.places {
		if pl.run != nil {
			return true
		}
	}
	return false
}

// ask has the loop call job and waits until it has.
func (b *Backend) ask(job func()) error {
	done := make(chan struct{})
	b.do(func() {
		defer close(done)
		job()
	})
	select {
	case <-done:
		return nil
	case <-b.over:
		return ErrStopped
	}
}

// takeTurn waits for its turn to change all processes; release ends it. One Restart or Update goes on at a time.
func (b *Backend) takeTurn(ctx context.Context) (release func(), err error) {
	b.mu.Lock()
	started := b.started
	b.mu.Unlock()
	if !started {
		return nil, errNotStarted
	}
	if b.stop.Err() != nil {
		return nil, ErrStopped
	}
	select {
	case b.rolling <- struct{}{}:
		return func() { <-b.rolling }, nil
	case <-b.stop.Done():
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
