package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options describe a backend; New and Update check them.
type Options struct {
	Name string // the backend's name: log key backend

	// Command is the program and its arguments. In every element {port} is replaced by the process's port and {process} by
	// its number, from 1. A program without a path separator is looked up in PATH, never in the current folder; one with a
	// separator is relative to Directory.
	Command []string
	// Directory is the working folder of the processes; empty is spillway's own.
	Directory string
	// Env is added to spillway's own environment and wins over it; values are expanded as Command is. HTTP_PROXY is not
	// handed on unless it is named here: CGI programs mistake it for a request's Proxy field (httpoxy, CVE-2016-5385).
	Env map[string]string

	Processes Count
	// Ports are where processes listen on 127.0.0.1: at least Processes.Max, all different. The rest are spares: a process is
	// replaced without a gap when there is one.
	Ports []int

	Ready     Readiness
	RapidFail RapidFail
	MaxAge    time.Duration // a process is replaced when it is that old, by a tenth more or less; 0: never
	MaxMemory int64         // bytes, resident, of a process with all that it has started, above which it is replaced; 0: no limit

	// DrainTimeout is how long a process may take to end its requests before it is stopped; 0 is 30 s.
	DrainTimeout time.Duration
	// StopSignal asks a process to end: term int quit kill hup usr1 usr2 winch; empty is term. kill does not ask. Windows has
	// CTRL_BREAK for all others.
	StopSignal  string
	StopTimeout time.Duration // from the polite signal to the kill of the tree; 0 is 10 s
	BackoffMin  time.Duration // wait before the first restart, doubled with each further one; 0 is 100 ms
	BackoffMax  time.Duration // longest wait, and how long a process must have been ready to start at BackoffMin again; 0 is 30 s

	// Output is asked at each launch where the raw output of the run goes, beside the log; it is closed when the run is gone. Nil, or a
	// nil writer: nowhere. A Write that blocks makes the process stand still.
	Output func(process, port int) io.WriteCloser

	// Drain blocks until no request is in flight at the port, or ctx ends; it is asked before a process that is ready is stopped.
	// Nil: there is nothing to wait for. Busy says how many requests are in flight at a port; nil: none.
	Drain func(ctx context.Context, port int)
	Busy  func(port int) int64

	Guard   *Guard       // kills orphaned trees on Unix; nil leaves only what the kernel does; see Guard
	OnEvent func(Event)  // nil: nobody listens
	Log     *slog.Logger // nil discards
}

// Count is how many processes run. With Min equal to Max their number is fixed, and the rest has no meaning.
type Count struct {
	Min int // that always run, from the start on; 0: the first is started by Demand
	Max int // at least 1

	// Of the processes that are ready at least SpareMin and at most SpareMax are to be without a request. Below SpareMin one more
	// is started; above SpareMax one is stopped that had no request for Idle; 0 is 10 s.
	SpareMin, SpareMax int
	Idle               time.Duration
}

// dynamic says whether the number of processes changes.
func (c Count) dynamic() bool { return c.Min < c.Max }

// Readiness says when a process counts as ready: when its port accepts a connection or, with a Path, when a request for it is
// answered with a status 2xx. Once ready, a process is not probed again.
type Readiness struct {
	Path string // begins with a slash; empty is no request
	// Ask sends a request for a path to the process at a port, in the language that it speaks, and returns the status of the answer.
	// ctx has a deadline. Nil is HTTP.
	Ask     func(ctx context.Context, port int, path string) (status int, err error)
	Timeout time.Duration // a process that is not ready by then, warm-up included, is killed and restarted; 0 is 30 s
	// Warmup are paths that are asked for once each, in this order, before the process gets requests. An answer with a status 5xx, or
	// none, means that the process is not ready; any other status is fine.
	Warmup []string
	// Settle is how long a process that takes the place of another one has to live after all that before it counts as ready: some
	// programs open their port before they load the application, and end when that is broken. 0 is no wait.
	Settle time.Duration
}

// RapidFail says when a process is given up: when it has ended by itself, has not got ready or could not be started that often
// within that time. An exit with code 0 of a process that was ready does not count, nor does a port that somebody else has. The
// zero value never gives up.
type RapidFail struct {
	Times  int
	Within time.Duration
}

func (o *Options) setDefaults() {
	setDefault := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	setDefault(&o.Processes.Idle, 10*time.Second)
	setDefault(&o.Ready.Timeout, 30*time.Second)
	setDefault(&o.DrainTimeout, 30*time.Second)
	setDefault(&o.StopTimeout, 10*time.Second)
	setDefault(&o.BackoffMin, 100*time.Millisecond)
	setDefault(&o.BackoffMax, max(30*time.Second, o.BackoffMin))
	if o.StopSignal == "" {
		o.StopSignal = "term"
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.Output == nil {
		o.Output = func(int, int) io.WriteCloser { return nil }
	}
	if o.Busy == nil {
		o.Busy = func(int) int64 { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Command, o.Ports, o.Env = slices.Clone(o.Command), slices.Clone(o.Ports), maps.Clone(o.Env)
	o.Ready.Warmup = slices.Clone(o.Ready.Warmup)
}

// finish sets the defaults, makes the working folder absolute and checks the rest. The options share nothing with the caller
// then and are not changed any more.
func (o *Options) finish() error {
	o.setDefaults()
	if err := errors.Join(o.check(), o.resolveDirectory()); err != nil {
		return fmt.Errorf("backend %s: %w", o.Name, err)
	}
	return nil
}

func (o *Options) check() error {
	if len(o.Command) == 0 || o.Command[0] == "" {
		return errors.New("command is empty")
	}
	for name := range o.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env name %q is not valid", name)
		}
	}
	for _, path := range append([]string{o.Ready.Path}, o.Ready.Warmup...) {
		if path != "" && path[0] != '/' {
			return fmt.Errorf("ready path %q does not begin with a slash", path)
		}
	}
	if o.Ready.Timeout < 0 || o.Ready.Settle < 0 || o.DrainTimeout < 0 || o.StopTimeout < 0 || o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin {
		return errors.New("a timeout is negative, or backoff max is below backoff min")
	}
	if o.MaxAge < 0 || o.MaxMemory < 0 || o.RapidFail.Times < 0 || o.RapidFail.Times > 0 && o.RapidFail.Within <= 0 {
		return errors.New("a limit is negative, or rapid fail has no length of time")
	}
	if !knownSignal(o.StopSignal) {
		return fmt.Errorf("stop signal %q is not known", o.StopSignal)
	}
	return o.checkCount()
}

func (o *Options) checkCount() error {
	c := o.Processes
	if c.Max < 1 || c.Min < 0 || c.Min > c.Max {
		return fmt.Errorf("processes is %d to %d, want at least 1 at most", c.Min, c.Max)
	}
	if c.SpareMin < 0 || c.SpareMax < c.SpareMin || c.Idle < 0 {
		return fmt.Errorf("spare processes is %d to %d, idle %v", c.SpareMin, c.SpareMax, c.Idle)
	}
	if len(o.Ports) < c.Max {
		return fmt.Errorf("%d ports for %d processes", len(o.Ports), c.Max)
	}
	seen := make(map[int]bool, len(o.Ports))
	for _, port := range o.Ports {
		if port < 1 || port > 65535 || seen[port] {
			return fmt.Errorf("port %d is out of range or named twice", port)
		}
		seen[port] = true
	}
	return nil
}

// sameProgram says whether a process that was launched with o is what one with other would be, but for its port and number.
func (o *Options) sameProgram(other *Options) bool {
	return slices.Equal(o.Command, other.Command) && o.Directory == other.Directory && maps.Equal(o.Env, other.Env)
}

// resolveDirectory makes the working folder absolute: a program in it must not depend on where spillway is started.
func (o *Options) resolveDirectory() error {
	dir, err := filepath.Abs(o.Directory) // of "" it is the current folder
	if err != nil {
		return fmt.Errorf("directory %s: %w", o.Directory, err)
	}
	o.Directory = dir
	return nil
}
