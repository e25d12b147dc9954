package supervisor

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// process is one of a backend's processes over all its runs.
//
//  1. supervise, its goroutine, gets the first run from Backend.Start.
//  2. watch waits until the run is ready, and then until it must end: by itself, because it does not get ready, by Stop.
//  3. bury ends the run and tells how it ended.
//  4. relaunch backs off and starts the next run; then 2.
type process struct {
	backend *Backend
	number  int // from 1
	port    int
	log     *slog.Logger
	backoff backoff // of the supervising goroutine

	state ProcessState // guarded by Backend.mu, as told
	told  State        // the last state of which OnEvent knows
}

// supervise returns when the backend was stopped and nothing of the process runs.
func (p *process) supervise(r *run) {
	for r != nil {
		notice(p.log, "process started", "pid", r.pid())
		p.become(Event{State: Starting, PID: r.pid()})
		ready := p.watch(r)
		p.bury(r)
		r = p.relaunch(ready)
	}
	p.become(Event{State: Stopped})
}

// watch returns when the run has ended or is to be ended, and says how long it was ready.
func (p *process) watch(r *run) time.Duration {
	if !p.awaitReady(r) {
		return 0
	}
	since := time.Now()
	notice(r.log, "process ready", "took", since.Sub(r.started))
	p.become(Event{State: Ready, PID: r.pid()})
	select {
	case <-r.exited:
	case <-p.backend.stop.Done():
	}
	return time.Since(since)
}

func (p *process) awaitReady(r *run) bool {
	opts := &p.backend.opts.Ready
	ctx, cancel := context.WithTimeout(p.backend.stop, opts.Timeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- awaitReady(ctx, p.port, opts.Path) }() // ends with ctx at the latest
	var err error
	select {
	case err = <-answer:
	case <-r.exited:
		cancel()
		err = <-answer
	}
	select {
	case <-r.exited:
		return false // whoever answered then was somebody else
	default:
	}
	if err != nil && p.backend.stop.Err() == nil {
		r.log.Warn("process not ready", "took", time.Since(r.started), "err", err)
	}
	return err == nil
}

// bury ends the run: politely when the backend stops, else at once.
func (p *process) bury(r *run) {
	grace, cancel := context.WithTimeout(p.backend.hurry, p.backend.opts.StopTimeout)
	defer cancel()
	stopping := p.backend.stop.Err() != nil
	p.become(Event{State: Stopping, PID: r.pid()}) // before the wait for its tree: it gets no request from here on
	if !stopping {
		cancel()
	} else {
		notice(r.log, "process stopping")
		if err := r.tree.interrupt(); err != nil {
			r.log.Debug("process not asked to stop", "err", err)
			cancel()
		}
	}
	exit, err := r.end(grace)
	attrs := []any{"code", exit.Code, "took", exit.At.Sub(r.started), "err", exit.Text}
	if stopping {
		notice(r.log, "process exited", attrs...)
	} else {
		// Its last words, for those who do not log the output line by line.
		r.log.Warn("process exited", append(attrs, "output", strings.Join(exit.Output, "\n"))...)
	}
	if err != nil {
		r.log.Error("process left behind", "err", err)
		p.backend.leftBehind(p.number, r.pid(), err)
	}
	p.become(Event{State: Exited, PID: r.pid(), Exit: exit})
}

// relaunch returns the next run, nil when the backend is stopped. ready is how long the last one was ready.
func (p *process) relaunch(ready time.Duration) *run {
	stop := p.backend.stop
	var cause error
	for stop.Err() == nil {
		delay := p.backoff.next(ready)
		ready = 0
		notice(p.log, "process restarting", "delay", delay)
		p.become(Event{State: Restarting, Delay: delay, Err: cause})
		select {
		case <-stop.Done():
			return nil
		case <-time.After(delay):
		}
		if cause = checkPort(p.port); cause != nil {
			p.log.Warn("port taken", "err", cause)
			continue
		}
		r, err := p.launch()
		if err == nil {
			return r
		}
		cause = err
		p.log.Warn("process not started", "err", err)
	}
	return nil
}

func (p *process) launch() (*run, error) {
	b := p.backend
	cmd, err := b.opts.command(p.number, p.port)
	if err != nil {
		return nil, err
	}
	return startRun(b.launcher, b.opts.Guard, cmd, p.log)
}

// become notes the new state and tells of it; e names the process no further than by its state and run.
func (p *process) become(e Event) {
	b := p.backend
	b.mu.Lock()
	s := &p.state
	s.State, s.Since = e.State, time.Now()
	switch e.State {
	case Starting:
		s.PID = e.PID
		s.Starts++
		s.Restarts = s.Starts - 1
	case Exited:
		s.PID = 0
		s.Exits++
		s.LastExit = e.Exit
	default:
	}
	e.Process, e.Port, e.Restarts = p.number, p.port, s.Restarts
	b.mu.Unlock()

	b.opts.OnEvent(e)

	// Who waits for the process finds that the event has done its work: its address is in use.
	b.mu.Lock()
	p.told = e.State
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
}

// notice logs what belongs to the life of a process, at nginx's level for it.
func notice(log *slog.Logger, event string, attrs ...any) {
	log.Log(context.Background(), levelNotice, event, attrs...) //nolint:sloglint // the callers' events are constants
}
