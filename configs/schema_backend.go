package configs

import (
	"path/filepath"
	"slices"
	"strings"
)

func backendFields() []field[Backend] {
	return []field[Backend]{
		value("command", (*reader).command, func(b *Backend) *[]string { return &b.Command }),
		value("directory", (*reader).path, func(b *Backend) *string { return &b.Directory }),
		value("env", (*reader).fields, func(b *Backend) *[]Field { return &b.Env }),
		value("processes", (*reader).processes, func(b *Backend) *Processes { return &b.Processes }),
		value("ports", (*reader).ports, func(b *Backend) *[]int { return &b.Ports }),
		value("ready", (*reader).ready, func(b *Backend) *Ready { return &b.Ready }),
		value("output", (*reader).output, func(b *Backend) *Output { return &b.Output }),
		value("max_requests", offOr(number(0, anyCount)), func(b *Backend) *int { return &b.MaxRequests }),
		value("max_requests_jitter", number(0, anyCount), func(b *Backend) *int { return &b.MaxRequestsJitter }),
		value("max_age", offOr((*reader).duration), func(b *Backend) *Duration { return &b.MaxAge }),
		value("max_memory", offOr((*reader).size), func(b *Backend) *Size { return &b.MaxMemory }),
		value("busy_timeout", offOr((*reader).timeout), func(b *Backend) *Duration { return &b.BusyTimeout }),
		value("watch", (*reader).patterns, func(b *Backend) *[]string { return &b.Watch }),
		value("stop_signal", (*reader).stopSignal, func(b *Backend) *string { return &b.StopSignal }),
		value("stop_timeout", (*reader).timeout, func(b *Backend) *Duration { return &b.StopTimeout }),
		value("backoff_min", (*reader).timeout, func(b *Backend) *Duration { return &b.BackoffMin }),
		value("backoff_max", (*reader).timeout, func(b *Backend) *Duration { return &b.BackoffMax }),
		value("rapid_fail", (*reader).rapidFail, func(b *Backend) *RapidFail { return &b.RapidFail }),
	}
}

// stopSignal reads the name of a signal as kill -l of most shells has it, in lower case.
func (r *reader) stopSignal(n *node) (string, bool) {
	names := []string{"term", "int", "quit", "kill", "hup", "usr1", "usr2"}
	if n.kind == scalar {
		if bare := strings.TrimPrefix(strings.ToLower(n.text), "sig"); bare != n.text && slices.Contains(names, bare) {
			r.refuse(n, "unknown %s; did you mean %s?", quote(n.text), bare)
			return "", false
		}
	}
	return word(names)(r, n)
}

func processesFields() []field[Processes] {
	return []field[Processes]{
		value("min", number(0, mostProcesses), func(p *Processes) *int { return &p.Min }),
		value("max", number(1, mostProcesses), func(p *Processes) *int { return &p.Max }),
		{"spare", readSpare},
		value("idle", (*reader).timeout, func(p *Processes) *Duration { return &p.Idle }),
	}
}

func readyFields() []field[Ready] {
	return []field[Ready]{
		value("path", (*reader).text, func(r *Ready) *string { return &r.Path }),
		value("timeout", (*reader).timeout, func(r *Ready) *Duration { return &r.Timeout }),
		value("warmup", (*reader).texts, func(r *Ready) *[]string { return &r.Warmup }),
		value("settle", (*reader).duration, func(r *Ready) *Duration { return &r.Settle }),
	}
}

func outputFields() []field[Output] {
	return []field[Output]{
		value("path", (*reader).offOrPath, func(o *Output) *string { return &o.Path }),
		value("rotate", (*reader).rotate, func(o *Output) *Rotate { return &o.Rotate }),
	}
}

func (r *reader) backend(n *node) (*Backend, bool) {
	b := DefaultBackend(r.dir)
	b.Places = section(r, n, &b, backendFields())
	return &b, true
}

// finishBackend fills what follows from other values of b.
func (r *reader) finishBackend(b *Backend) {
	if b.Command == nil && !b.Places.Has("command") {
		r.problems = append(r.problems, b.Places.At().problem("command is missing"))
	}
	b.finishProcesses()
	if !b.Places.Has("max_requests_jitter") {
		b.MaxRequestsJitter = b.MaxRequests / 10
	}
}

// finishProcesses fills what is not written of the processes: whoever lists the ports has counted them.
func (b *Backend) finishProcesses() {
	p, listed := &b.Processes, len(b.Ports)
	if listed > 0 && !b.Places.Has("processes") {
		*p = Processes{Min: listed, Max: listed}
	}
	if listed > 0 && p.Idle != 0 && !b.Places.Has("processes.max") {
		p.Max = listed
	}
	defaults := Processes{}
	if p.Min < p.Max {
		defaults = dynamicProcesses(p.Min, p.Max)
	}
	if p.SpareMin == unset {
		p.SpareMin, p.SpareMax = defaults.SpareMin, defaults.SpareMax
	}
	if p.Idle == unset {
		p.Idle = defaults.Idle
	}
}

// command reads a list. A text would have to be split as a shell does, which differs between Windows and Linux.
func (r *reader) command(n *node) ([]string, bool) {
	if n.kind == scalar {
		words := strings.Fields(n.text)
		for i, w := range words {
			if strings.ContainsAny(w, `{}[],:#&*!|>'"%@`+"`") {
				words[i] = "'" + strings.ReplaceAll(w, "'", "''") + "'"
			}
		}
		r.refuse(n, "want a list; write [%s]", strings.Join(words, ", "))
		return nil, false
	}
	return r.texts(n)
}

// mostProcesses bounds a typing mistake; no machine runs so many copies of one program.
const mostProcesses = 1000

// unset is a value of Processes that finishProcesses fills.
const unset = -1

// processes reads a number, or a section for a number that changes.
func (r *reader) processes(n *node) (Processes, bool) {
	if n.kind != mapping {
		v, ok := number(1, mostProcesses)(r, n)
		return Processes{Min: v, Max: v}, ok
	}
	written := Processes{Min: 1, Max: DefaultBackend(r.dir).Processes.Max, SpareMin: unset, SpareMax: unset, Idle: unset}
	section(r, n, &written, processesFields())
	return written, true
}

// readSpare reads a range such as 1-3, or one number.
func readSpare(r *reader, n *node) func(*Processes) {
	s, ok := r.text(n)
	if !ok {
		return nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	least, err := parseDigits(strings.TrimSpace(first))
	most, errLast := parseDigits(strings.TrimSpace(last))
	if err != nil || errLast != nil || most < 1 || most > mostProcesses {
		r.refuse(n, "wrong range %s; want the least and the most processes without a request, such as 1-3", quote(s))
		return nil
	}
	return func(p *Processes) { p.SpareMin, p.SpareMax = int(least), int(most) }
}

// ports reads auto, a range, or a list of ports and ranges.
func (r *reader) ports(n *node) ([]int, bool) {
	if n.kind == scalar && n.text == "auto" {
		return nil, true
	}
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	var ports []int
	for i, s := range texts {
		some, err := parsePorts(s)
		if err != nil {
			r.refuse(n.list()[i], "%v; want a port, a range such as 9001-9008, a list of them, or auto", err)
			ok = false
		}
		ports = append(ports, some...)
	}
	return ports, ok
}

func (r *reader) ready(n *node) (Ready, bool) {
	ready := DefaultBackend(r.dir).Ready
	ready.Places = section(r, n, &ready, readyFields())
	return ready, true
}

// output reads off, a path, or a section.
func (r *reader) output(n *node) (Output, bool) {
	if n.kind != mapping {
		path, ok := r.offOrPath(n)
		return Output{Path: path}, ok
	}
	var o Output
	section(r, n, &o, outputFields())
	return o, true
}

// patterns reads one path or pattern, or a list of them.
func (r *reader) patterns(n *node) ([]string, bool) {
	complete := true
	var all []string
	for _, item := range n.list() {
		path, ok := r.path(item)
		if ok {
			_, err := filepath.Match(item.text, "")
			if ok = err == nil && !strings.Contains(item.text, "**"); !ok {
				r.refuse(item, "wrong pattern %s; want a file, a folder for all below it, or a pattern with *, ? and [a-z]", quote(item.text))
			}
		}
		complete = complete && ok
		all = append(all, path)
	}
	return all, complete
}

// rapidFail reads off or a text such as "5 in 5m".
func (r *reader) rapidFail(n *node) (RapidFail, bool) {
	if n.isOff() {
		return RapidFail{}, true
	}
	s, ok := r.text(n)
	if !ok {
		return RapidFail{}, false
	}
	const most = 1000 // ends that are remembered for each process
	if words := strings.Fields(s); len(words) == 3 && words[1] == "in" {
		times, err := parseDigits(words[0])
		within, errWithin := ParseDuration(words[2])
		if err == nil && errWithin == nil && times >= 1 && times <= most && within > 0 {
			return RapidFail{Times: int(times), Within: within}, true
		}
	}
	r.refuse(n, `wrong %s; want how many times and within what time, such as "5 in 5m", or off`, quote(s))
	return RapidFail{}, false
}
