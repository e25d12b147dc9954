package configs

import (
	"slices"
	"strings"
)

func (k *checker) backend(u *Upstream) {
	b := u.Backend
	if b.Command != nil {
		switch {
		case len(b.Command) == 0 || b.Command[0] == "":
			k.refuse(b.Places.At("command"), "is empty")
		case !b.hasPort():
			k.refuse(b.Places.At("command"), "{port} is neither in command nor in env: the processes would not know their ports")
		}
	}
	k.processes(b)
	k.warmup(b)
	k.replacement(b)
	k.restarts(b)
	if path := b.Output.Path; path != "" && !strings.Contains(path, "{process}") && !strings.Contains(path, "{port}") && b.Processes.Max > 1 {
		k.refuse(b.Places.At("output.path", "output"),
			"several processes would write one file; write {process} or {port} in it, such as logs/app-{process}.log")
	}
}

// hasPort reports whether a process is told its port.
func (b *Backend) hasPort() bool {
	const port = "{port}"
	inEnv := func(f Field) bool { return strings.Contains(f.Value, port) }
	inArg := func(arg string) bool { return strings.Contains(arg, port) }
	return slices.ContainsFunc(b.Command, inArg) || slices.ContainsFunc(b.Env, inEnv)
}

func (k *checker) processes(b *Backend) {
	p, at := &b.Processes, b.Places
	if len(b.Ports) > 0 && len(b.Ports) < p.Max {
		k.refuse(at.At("ports"), "%d ports for %d processes; list %d or more, write processes: %d, or leave ports out: the system chooses them then",
			len(b.Ports), p.Max, p.Max, len(b.Ports))
	}
	spare := at.At("processes.spare", "processes")
	switch {
	case p.Min > p.Max:
		k.refuse(at.At("processes.min", "processes"), "min is larger than max: %d > %d", p.Min, p.Max)
	case p.Min == p.Max && p.SpareMax > 0:
		k.refuse(spare, "is for a number that changes, but min and max are both %d", p.Max)
	case p.Min == p.Max && p.Idle > 0:
		k.refuse(at.At("processes.idle", "processes"), "is for a number that changes, but min and max are both %d", p.Max)
	case p.SpareMin > p.SpareMax:
		k.refuse(spare, "the range is empty; write %d-%d", p.SpareMax, p.SpareMin)
	case p.SpareMax > p.Max:
		k.refuse(spare, "more processes without a request than there may be: %d > %d", p.SpareMax, p.Max)
	}
}

func (k *checker) warmup(b *Backend) {
	if b.Ready.Path != "" {
		k.requestPath(b.Ready.Places.At("path"), b.Ready.Path)
	}
	for _, path := range b.Ready.Warmup {
		k.requestPath(b.Ready.Places.At("warmup"), path)
	}
}

// replacement checks what ends a process that works.
func (k *checker) replacement(b *Backend) {
	jitter := b.Places.At("max_requests_jitter", "max_requests")
	switch {
	case b.MaxRequestsJitter == 0:
	case b.MaxRequests == 0:
		k.refuse(jitter, "is for a max_requests, which is off")
	case b.MaxRequestsJitter >= b.MaxRequests:
		k.refuse(jitter, "must be less than max_requests: %d >= %d", b.MaxRequestsJitter, b.MaxRequests)
	}
}

// restarts checks what follows the end of a process.
func (k *checker) restarts(b *Backend) {
	if b.BackoffMin > b.BackoffMax {
		k.refuse(b.Places.At("backoff_min", "backoff_max"), "backoff_min is larger than backoff_max: %v > %v", b.BackoffMin, b.BackoffMax)
		return
	}
	if b.RapidFail.Times > 0 && b.tooSlowToFail() {
		k.refuse(b.Places.At("rapid_fail"), "would never happen: the pauses between %d starts, up to backoff_max %v each, are longer than %v",
			b.RapidFail.Times, b.BackoffMax, b.RapidFail.Within)
	}
}

// tooSlowToFail reports whether a process that ends at once each time cannot end as often as RapidFail says: the pauses,
// which may be shorter by a fifth so that several processes do not start in step, fill the time alone.
func (b *Backend) tooSlowToFail() bool {
	left, pause := b.RapidFail.Within, b.BackoffMin
	for range b.RapidFail.Times - 1 {
		left -= pause / 5 * 4
		if left <= 0 {
			return true
		}
		pause = min(2*pause, b.BackoffMax)
	}
	return false
}

// files looks for files that two would write: each would put aside what the other one has open. Logs that are not rotated
// may be one file.
func (k *checker) files() {
	type writer struct {
		place Place
		alone bool
	}
	writers := map[string]writer{}
	claim := func(path string, at Place, alone bool) {
		first, taken := writers[path]
		if taken && (first.alone || alone) {
			k.refuse(at, "is the file of %s in line %d, too; each writer needs a file of its own", first.place.Key, first.place.Line)
		} else if path != "" && path != Stderr {
			writers[path] = writer{at, alone}
		}
	}
	c := k.config
	if c.ErrorLog.Path == Stderr && c.ErrorLog.Rotate != (Rotate{}) {
		k.refuse(c.ErrorLog.Places.At("rotate"), "stderr is no file; write a path, or leave rotate out")
	}
	claim(c.AccessLog.Path, c.AccessLog.Places.At("path"), c.AccessLog.Rotate != Rotate{})
	claim(c.ErrorLog.Path, c.ErrorLog.Places.At("path"), c.ErrorLog.Rotate != Rotate{})
	for _, u := range c.Upstreams {
		if u.Backend != nil && !strings.Contains(u.Backend.Output.Path, "{port}") { // no port is that of two backends
			claim(u.Backend.Output.Path, u.Backend.Places.At("output.path", "output"), true)
		}
	}
}
