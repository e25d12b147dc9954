package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"
)

// Options describe a backend; New checks them.
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

	Processes int   // how many run, at least 1
	Ports     []int // process i listens on Ports[i-1]; at least Processes of them, all different

	Ready       Readiness
	StopTimeout time.Duration // from the polite signal to the kill of the tree; 0 is 10 s
	BackoffMin  time.Duration // wait before the first restart, doubled with each further one; 0 is 100 ms
	BackoffMax  time.Duration // longest wait, and how long a process must have been ready to start at BackoffMin again; 0 is 30 s

	Guard   *Guard       // kills orphaned trees on Unix; nil leaves only what the kernel does; see Guard
	OnEvent func(Event)  // nil: nobody listens
	Log     *slog.Logger // nil discards
}

// Readiness says when a process counts as ready: when its port accepts a connection or, with a Path, when an HTTP request for it
// is answered with a status 2xx. Once ready, a process is not probed again.
type Readiness struct {
	Path    string        // begins with a slash; empty is no HTTP probe
	Timeout time.Duration // a process that is not ready by then is killed and restarted; 0 is 30 s
}

func (o *Options) setDefaults() {
	setDefault := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	setDefault(&o.Ready.Timeout, 30*time.Second)
	setDefault(&o.StopTimeout, 10*time.Second)
	setDefault(&o.BackoffMin, 100*time.Millisecond)
	setDefault(&o.BackoffMax, max(30*time.Second, o.BackoffMin))
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Env = maps.Clone(o.Env)
}

func (o *Options) check() error {
	if len(o.Command) == 0 || o.Command[0] == "" {
		return errors.New("command is empty")
	}
	if o.Processes < 1 {
		return fmt.Errorf("processes is %d, want at least 1", o.Processes)
	}
	if len(o.Ports) < o.Processes {
		return fmt.Errorf("%d ports for %d processes", len(o.Ports), o.Processes)
	}
	seen := make(map[int]bool, len(o.Ports))
	for _, port := range o.Ports {
		if port < 1 || port > 65535 || seen[port] {
			return fmt.Errorf("port %d is out of range or named twice", port)
		}
		seen[port] = true
	}
	for name := range o.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env name %q is not valid", name)
		}
	}
	if o.Ready.Path != "" && o.Ready.Path[0] != '/' {
		return fmt.Errorf("ready path %q does not begin with a slash", o.Ready.Path)
	}
	if o.Ready.Timeout < 0 || o.StopTimeout < 0 || o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin {
		return errors.New("a timeout is negative, or backoff max is below backoff min")
	}
	return nil
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
