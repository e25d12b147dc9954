package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// process is one of a backend's processes over all its runs.
//
//  1. launch starts a run at a place; begin tells of it and waits for it to be ready, in a helper.
//  2. probed makes it Ready, or has it ended.
//  3. exited hears that its program has ended, asked or not; leave.go does the rest.
//  4. gone decides what follows: restartLater backs off, relaunch starts the next run; then 1.
type process struct {
	number  int
	opts    *Options // of its next launch
	place   *place   // where it runs or comes back
	log     *slog.Logger
	limit   *limiter // of its output lines
	starts  int      // launches so far
	leaving bool     // it is not needed any more, or was forgotten: it does not come back

	backoff  backoff
	failures failures
	timer    *time.Timer // at Restarting: its next launch
}

// newProcess adds a process with the lowest number that is free.
func (b *Backend) newProcess() *process {
	number := 1
	for i, p := range b.processes {
		if p.number != i+1 {
			break
		}
		number++
	}
	log := b.opts.Log.With("backend", b.opts.Name, "process", number)
	p := &process{
		number: number, log: log, limit: newLimiter(log),
	}
	p.takeOptions(b.opts)
	b.processes = slices.Insert(b.processes, number-1, p)
	return p
}

func (b *Backend) forget(p *process) {
	p.leaving = true
	b.processes = slices.DeleteFunc(b.processes, func(other *process) bool { return other == p })
}

// takeOptions makes these the options of the next launch.
func (p *process) takeOptions(o *Options) {
	p.opts = o
	p.backoff.min, p.backoff.max = o.BackoffMin, o.BackoffMax
}

// launch starts a run of p at pl; begin has to follow.
func (b *Backend) launch(p *process, pl *place, opts *Options) (*run, error) {
	if err := checkPort(pl.port); err != nil {
		return nil, err
	}
	cmd, err := opts.command(p.number, pl.port)
	if err != nil {
		return nil, err
	}
	r, err := startRun(launchSpec{
		launcher: b.launcher, guard: b.opts.Guard, cmd: cmd, log: p.log.With("port", pl.port), limit: p.limit,
		raw: opts.Output(p.number, pl.port),
	})
	if err != nil {
		return nil, err
	}
	r.process, r.place, r.opts = p, pl, opts
	r.hurry, r.kill = context.WithCancel(b.hurry)
	pl.process, pl.run = p, r
	return r, nil
}

// begin tells of a run that was launched and watches it.
func (b *Backend) begin(r *run) {
	r.process.starts++
	notice(r.log, "process started")
	b.mu.Lock()
	r.place.tail = &r.output.tail
	b.mu.Unlock()
	b.become(r.place, Event{State: Starting, PID: r.pid()})
	ctx, cancel := context.WithCancel(b.stop)
	r.stopProbe = cancel
	readiness, settle := r.opts.Ready, time.Duration(0)
	if b.replacementOf(r.process) != nil {
		settle = readiness.Settle
	}
	b.helpers.Go(func() { // ends with ctx, which ends with the run, or when both times are over
		timed, stop := context.WithTimeout(ctx, readiness.Timeout)
		defer stop()
		err := awaitReady(timed, r, readiness)
		if err == nil {
			err = awaitSettled(ctx, settle)
		}
		b.do(func() { b.probed(r, err) })
	})
	b.helpers.Go(func() { // ends with the program, or when it was given up
		select {
		case <-r.exited:
			cancel()
			b.do(func() { b.exited(r) })
		case <-r.abandoned:
		}
	})
}

// probed makes the run ready, or ends it when it is not.
func (b *Backend) probed(r *run, err error) {
	if r.reason != "" || r.hasExited() {
		return // exited is on its way: whoever answered was somebody else
	}
	if err != nil && b.stop.Err() != nil {
		return // shutDown is on its way: it has ended the probe, and asks the process to end
	}
	if err != nil {
		r.cause = fmt.Errorf("not ready after %v: %w", time.Since(r.started).Round(time.Millisecond), err)
		r.log.Warn("process not ready", "took", time.Since(r.started).Round(time.Millisecond), "err", err)
		b.end(r, ReasonNotReady)
		return
	}
	r.readySince = time.Now()
	notice(r.log, "process ready", "took", r.readySince.Sub(r.started).Round(time.Millisecond))
	b.become(r.place, Event{State: Ready, PID: r.pid()})
	b.limitAge(r)
	b.readied(r)
}

// exited hears that the program has ended.
func (b *Backend) exited(r *run) {
	if r.reason == "" {
		b.end(r, ReasonExited)
		return
	}
	r.stopDrain() // there is nothing to drain any more; what it has started may still be at its last requests
}

// restartLater plans the next launch, or gives the process up. r is the run that has ended, nil when err is why there was none.
func (b *Backend) restartLater(p *process, r *run, err error) {
	var reason Reason
	if r != nil {
		reason = r.reason
	}
	if p.failed(r, err) {
		b.giveUp(p, r, err)
		return
	}
	delay := p.backoff.next(p.held(r))
	notice(p.log, "process restarting", "port", p.place.port, "delay", delay)
	b.become(p.place, Event{State: Restarting, Delay: delay, Reason: reason, Err: err})
	p.timer = time.AfterFunc(delay, func() { b.do(func() { b.comeBack(p) }) })
}

// held returns how long the run was ready, for the backoff. Programs that end by themselves after a number of requests, as
// php-cgi does, are told from those that crash by their exit code: they start again without delay.
func (p *process) held(r *run) time.Duration {
	switch {
	case r == nil:
		return 0
	case r.endedWell():
		return p.backoff.max
	default:
		return r.readyFor()
	}
}

// comeBack launches a process that has waited for it.
func (b *Backend) comeBack(p *process) {
	if b.stopping || p.leaving || p.place.run != nil || p.place.state.State != Restarting {
		return
	}
	b.relaunch(p)
}

// relaunch starts the next run of a process of which nothing runs.
func (b *Backend) relaunch(p *process) {
	stopTimer(p.timer)
	err := b.launchSomewhere(p)
	if err == nil {
		return
	}
	if rep := b.replacementOf(p); rep != nil {
		b.finish(rep, err)
	}
	if !isTaken(err) { // that was told
		p.log.Warn("process not started", "port", p.place.port, "err", err)
	}
	b.restartLater(p, nil, err)
}

// launchSomewhere starts a run where the process was, or at a spare when somebody has its port meanwhile.
func (b *Backend) launchSomewhere(p *process) error {
	tries := b.spares()
	if !p.place.retired {
		tries = slices.Insert(tries, 0, p.place)
	}
	var first error
	for _, pl := range tries {
		r, err := b.launch(p, pl, p.opts)
		if err == nil {
			b.move(p, pl)
			b.begin(r)
			return nil
		}
		if first == nil {
			first = err
		}
		if !isTaken(err) {
			break
		}
		p.log.Warn("port taken", "port", pl.port, "err", err)
	}
	if first == nil {
		first = errNoPlace
	}
	return first
}

// move gives the process another place; the one it had is free then.
func (b *Backend) move(p *process, to *place) {
	if rep := b.replacementOf(p); rep != nil && rep.to == nil {
		rep.to = to
	}
	from := p.place
	p.place = to
	if from != nil && from != to {
		b.free(from)
	}
}

// stopTimer stops a timer if there is one.
func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// lastWords is the output of a run as one attribute, for those who do not log it line by line.
func lastWords(exit Exit) string { return strings.Join(exit.Output, "\n") }

// notice logs what belongs to the life of a process, at nginx's level for it.
func notice(log *slog.Logger, event string, attrs ...any) {
	log.Log(context.Background(), levelNotice, event, attrs...) //nolint:sloglint // the callers' events are constants
}
