package configs

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// applyPreset fills what the kind of u knows and the file does not say; what is written always wins. A kind that is not
// written is that of the program where that is beyond doubt and matters: a php-cgi that nobody told about would end by
// itself. The other programs run as well without one, and one that appears by itself would change how they are asked.
func (u *Upstream) applyPreset() {
	if u.Backend != nil && u.Kind == "" {
		if p, ok := presetOfProgram(u.Backend.program()); ok && p.inferred {
			u.Kind = p.name
		}
	}
	p, ok := presetOf(u.Kind)
	if !ok {
		return
	}
	if !u.Places.Has("protocol") {
		u.Protocol = p.protocol(u.Backend)
	}
	if !u.Places.Has("keepalive") {
		u.Keepalive = p.keepalive
	}
	if u.Backend == nil {
		return // how many processes are behind an address is not known
	}
	if !u.Places.Has("concurrency") {
		u.Concurrency = p.concurrencyOf(u.Backend)
	}
	u.Backend.applyPreset(&p)
}

func (b *Backend) applyPreset(p *preset) {
	if !b.Places.Has("command") {
		b.Command = p.command
	}
	if !b.Places.Has("max_requests") {
		b.MaxRequests = p.maxRequests
	}
	if !b.Places.Has("stop_signal") && p.stopSignal != "" {
		b.StopSignal = p.stopSignal
	}
	if !b.Ready.Places.Has("settle") && b.Ready.Path == "" {
		b.Ready.Settle = p.settle
	}
	for _, f := range p.env {
		if _, written := b.variable(f.Name); !written {
			b.Env = append(b.Env, f)
		}
	}
}

// protocol is what the command says by its sockets, else the first one of the kind. b may be nil.
func (p *preset) protocol(b *Backend) Protocol {
	if b != nil {
		if _, speaks := p.socket(b); slices.Contains(p.protocols, speaks) {
			return speaks
		}
	}
	return p.protocols[0]
}

// socket returns the flag of the command that says the protocol, and the protocol; "" when there is none.
func (p *preset) socket(b *Backend) (flag string, speaks Protocol) {
	for i, arg := range b.Command {
		flag := arg
		if _, ok := p.sockets[flag]; !ok {
			flag, _, _ = strings.Cut(arg, "=")
		}
		speaks, ok := p.sockets[flag]
		if !ok || i == 0 {
			continue
		}
		if forced, ok := b.option("--protocol"); ok && slices.Contains(p.general, flag) {
			speaks = Protocol(forced)
		}
		return flag, speaks
	}
	return "", ""
}

// concurrencyOf is how many requests a process of b serves at once, as far as its command and its variables say it.
func (p *preset) concurrencyOf(b *Backend) int {
	for _, flag := range p.classes {
		if class, ok := b.option(flag); ok && !slices.Contains(p.threaded, class) {
			return 0
		}
	}
	for _, flag := range p.single {
		if slices.Contains(b.Command, flag) {
			return 1
		}
	}
	total := 0
	for _, names := range p.counts {
		for _, name := range names {
			text, ok := b.option(name)
			if n, err := strconv.Atoi(text); ok && err == nil && n > 0 && n <= anyCount/max(total, 1) {
				total = max(total, 1) * n
				break
			}
		}
	}
	if total == 0 {
		return p.concurrency
	}
	return total
}

// option returns what the command says for a flag: -w 4, -w4, --workers 4 or --workers=4; or, for a name without a dash,
// what the environment says.
func (b *Backend) option(name string) (value string, ok bool) {
	if !strings.HasPrefix(name, "-") {
		return b.variable(name)
	}
	for i, arg := range b.Command {
		rest, begins := strings.CutPrefix(arg, name)
		switch {
		case i == 0 || !begins:
		case rest == "" && i+1 < len(b.Command):
			return b.Command[i+1], true
		case rest == "":
			return "", true
		case rest[0] == '=':
			return rest[1:], true
		case !strings.HasPrefix(name, "--"):
			return rest, true
		}
	}
	return "", false
}

// variable returns a variable that the file sets.
func (b *Backend) variable(name string) (value string, ok bool) {
	i := slices.IndexFunc(b.Env, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return "", false
	}
	return b.Env[i].Value, true
}

// program returns the name of what the command runs: without folders and .exe, and behind python -m that of the module.
func (b *Backend) program() string {
	if len(b.Command) == 0 {
		return ""
	}
	name := baseName(b.Command[0])
	if bare := strings.TrimRight(name, "0123456789."); bare != "python" && bare != "pythonw" && bare != "py" {
		return name
	}
	for i, arg := range b.Command[1:] {
		if arg == "-m" && i+2 < len(b.Command) {
			return b.Command[i+2]
		}
		if !strings.HasPrefix(arg, "-") {
			break // the script
		}
	}
	return name
}

// baseName returns the name of a program without its folders, which are written as on Windows or not, and without .exe.
func baseName(program string) string {
	name := strings.ToLower(path.Base(strings.ReplaceAll(program, `\`, "/")))
	return strings.TrimSuffix(name, ".exe")
}
