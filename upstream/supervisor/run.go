package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	killWait  = 5 * time.Second        // for a killed tree to be gone; longer only takes what hangs in the kernel
	drainWait = 200 * time.Millisecond // for the last output; only a stranger that holds the pipe makes us wait for it

	// levelNotice is the level of output lines, between info and warn: nobody knows what they mean.
	levelNotice = slog.LevelInfo + 2
)

// errNotGone says that something of a tree outlived its kill.
var errNotGone = errors.New("not gone after kill")

// run is one launch of a process.
//
//  1. startRun starts the program, puts it into its tree and reads its output.
//  2. exited is closed when the program has ended; others of its tree may still live.
//  3. end sees to it that the tree is gone and the output read, and says how the program ended.
type run struct {
	cmd     *exec.Cmd
	tree    *tree
	log     *slog.Logger
	started time.Time
	floor   int64 // peaks of memory up to this are not the program's, see peakFloor

	output  *output
	pipes   []*os.File     // our ends of stdout and stderr
	reading sync.WaitGroup // the goroutines that read them
	raw     io.WriteCloser // nil: nobody wants the raw output

	exited   chan struct{} // closed when the program has been waited for
	exitedAt time.Time     // valid after exited
	peak     int64         // of its memory; valid after exited

	treeMu sync.Mutex // held while the tree is measured or given up
	gone   bool       // the tree was given up; guarded by treeMu

	decisions
}

// decisions is what the backend's loop knows of a run; nobody else touches it. The fields of the first group are set at the launch
// and read only.
type decisions struct {
	process   *process
	place     *place
	hurry     context.Context    // ends when the run is to be killed
	kill      context.CancelFunc // ends hurry
	abandoned chan struct{}      // closed when nothing of it is waited for any more

	opts       *Options           // of its launch, or of an Update that has left it alone
	reason     Reason             // why it is being ended; empty: it is not
	cause      error              // why it did not get ready
	wanted     Reason             // why it is to be replaced should the replacement that goes on come to nothing; empty: it is not
	again      bool               // it was killed to be started again at once
	readySince time.Time          // zero: it never was
	idleSince  time.Time          // when it was first seen without a request, see scale.go; zero: it has some
	age        *time.Timer        // nil: no limit
	stopProbe  context.CancelFunc // set by begin
	stopDrain  context.CancelFunc
	exit       Exit // valid once it is gone
}

// launchSpec is what a run is started with.
type launchSpec struct {
	launcher *launcher
	guard    *Guard
	cmd      *exec.Cmd
	log      *slog.Logger
	limit    *limiter       // of the process's lines in the log
	raw      io.WriteCloser // for all of its output, closed at the end of the run; nil: nowhere
}

// startRun starts the program on the launcher's thread. On an error nothing of it runs.
func startRun(spec launchSpec) (*run, error) {
	r := &run{cmd: spec.cmd, raw: spec.raw, started: time.Now(), exited: make(chan struct{})}
	r.abandoned, r.stopDrain = make(chan struct{}), func() {}
	t, err := newTree(spec.cmd, spec.guard)
	if err != nil {
		r.closeRaw()
		return nil, err
	}
	r.tree = t
	if err := r.start(spec.launcher); err != nil {
		r.closePipes()
		r.closeRaw()
		t.close()
		return nil, fmt.Errorf("start %s: %w", spec.cmd.Path, err)
	}
	r.log = spec.log.With("pid", r.pid())
	var raw io.Writer
	if spec.raw != nil {
		raw = spec.raw
	}
	r.output = newOutput(r.log, spec.limit, raw)
	r.reading.Go(func() { r.output.read(r.pipes[0], "stdout") }) // both end with their pipe, see end
	r.reading.Go(func() { r.output.read(r.pipes[1], "stderr") })
	go r.wait() // ends with the program
	return r, nil
}

// start starts the program with pipes as its output and puts it into the tree.
func (r *run) start(l *launcher) error {
	stdout, err := r.pipe()
	if err != nil {
		return err
	}
	defer stdout.Close() // the program has its own by then
	stderr, err := r.pipe()
	if err != nil {
		return err
	}
	defer stderr.Close()
	r.cmd.Stdout, r.cmd.Stderr = stdout, stderr
	if err := l.start(r.cmd); err != nil {
		return err
	}
	r.floor = peakFloor()
	if err := r.tree.adopt(r.cmd.Process); err != nil {
		r.tree.kill()
		// The tree may not have it yet. How it ends does not matter: err is the one to tell.
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		return err
	}
	return nil
}

// pipe makes a pipe, keeps its read end and returns the other.
func (r *run) pipe() (*os.File, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.pipes = append(r.pipes, ours)
	return theirs, nil
}

func (r *run) pid() int { return r.cmd.Process.Pid }

func (r *run) wait() {
	r.peak = waitPeak(r.cmd, r.floor) // what else there is to know is in cmd.ProcessState
	r.exitedAt = time.Now()
	close(r.exited)
}

// end waits until the program and its tree have ended, kills what is left when grace ends, and returns how the program
// ended. With an error something of it is still there.
func (r *run) end(grace context.Context) (Exit, error) {
	select {
	case <-r.exited:
		// Its workers may still be at their last requests.
		r.tree.awaitEmpty(grace)
	case <-grace.Done():
	}
	r.tree.kill()
	last, cancel := context.WithTimeout(context.Background(), killWait)
	defer cancel()
	select {
	case <-r.exited:
	case <-last.Done():
		now := time.Now()
		return Exit{
			Code: -1, Text: errNotGone.Error(), Output: r.output.tail.snapshot(), At: now, Uptime: now.Sub(r.started),
		}, errNotGone
	}
	var err error
	if !r.tree.awaitEmpty(last) {
		err = errNotGone
	}
	r.drain()
	r.closeRaw()
	r.closeTree()
	state := r.cmd.ProcessState
	return Exit{
		Code: state.ExitCode(), Text: exitText(state), Output: r.output.tail.snapshot(), At: r.exitedAt,
		Uptime: r.exitedAt.Sub(r.started), Peak: r.peak,
	}, err
}

// drain waits for the last lines. On Unix a process that has left the tree may hold a pipe open, hence the deadline; on
// Windows, where pipes know none, nothing leaves a Job object.
func (r *run) drain() {
	for _, pipe := range r.pipes {
		_ = pipe.SetReadDeadline(time.Now().Add(drainWait)) // os.ErrNoDeadline on Windows
	}
	r.reading.Wait()
	r.output.limit.flush()
	r.closePipes()
}

func (r *run) closePipes() {
	for _, pipe := range r.pipes {
		pipe.Close()
	}
}

func (r *run) closeRaw() {
	if r.raw == nil {
		return
	}
	if err := r.raw.Close(); err != nil && r.log != nil {
		r.log.Error("process output not written", "err", err)
	}
}

func (r *run) closeTree() {
	r.treeMu.Lock()
	defer r.treeMu.Unlock()
	r.gone = true
	r.tree.close()
}

// look calls f with the tree while it is sure to be there; it does nothing when the run is gone.
func (r *run) look(f func(t *tree)) {
	r.treeMu.Lock()
	defer r.treeMu.Unlock()
	if !r.gone {
		f(r.tree)
	}
}

func (r *run) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}
