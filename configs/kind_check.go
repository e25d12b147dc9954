package configs

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kind looks for what contradicts the kind of u.
func (k *checker) kind(u *Upstream) {
	b := u.Backend
	if b != nil && !k.program(u) {
		return // whatever else does not fit follows from it
	}
	p, ok := presetOf(u.Kind)
	if !ok {
		return
	}
	if !slices.Contains(p.protocols, u.Protocol) {
		k.refuse(u.Places.At("protocol", "kind"), "%s speaks %s, not %s", p.name, strings.Join(strs(p.protocols), " or "), u.Protocol)
	}
	if b == nil {
		return
	}
	k.command(u, &p)
	if p.name == "php-cgi" {
		k.phpMaxRequests(b)
	}
}

// program compares the kind with the program of the command, and reports whether they fit.
func (k *checker) program(u *Upstream) bool {
	runs, ok := presetOfProgram(u.Backend.program())
	if !ok || runs.name == u.Kind || u.Kind == "" {
		return true
	}
	k.refuse(u.Places.At("kind"), wrongKind, u.Backend.program(), runs.name, u.Kind)
	return false
}

const wrongKind = "the command runs %s, so the kind is %s, not %s"

// command looks for arguments that are missing, contradict the protocol, or leave open how many requests a process serves.
func (k *checker) command(u *Upstream, p *preset) {
	b := u.Backend
	at := b.Places.At("command")
	name := b.program()
	missing := !slices.ContainsFunc(p.needs, func(flag string) bool { _, ok := b.option(flag); return ok })
	if len(p.needs) > 0 && missing && (p.runs(name) || name == "php") {
		k.refuse(at, `without %s %s answers no requests over a port; write [%s, %s, "127.0.0.1:{port}"]`, p.needs[0], p.name, p.name, p.needs[0])
	}
	if flag, speaks := p.socket(b); flag != "" && speaks != u.Protocol {
		if slices.Contains(p.protocols, speaks) {
			k.refuse(at, "%s speaks %s, not %s; write protocol: %s", flag, speaks, u.Protocol, speaks)
		} else {
			k.refuse(at, "%s speaks %s, not %s; write --fastcgi-socket", flag, speaks, strings.Join(strs(p.protocols), " or "))
		}
	}
	if u.Places.Has("concurrency") {
		return
	}
	for _, flag := range p.files {
		if _, ok := b.option(flag); ok {
			k.refuse(at, openConcurrency, flag)
			return
		}
	}
}

const openConcurrency = "how many requests a process serves at once may be in %s, which is not read here; " +
	"write concurrency, that is workers times threads, or 0 for no limit"

// phpMaxRequests holds that no php-cgi ends by itself: it does so without a word, and the requests that have reached its
// backlog are lost. A process that is to be replaced serves on until its successor is ready, so ours is half of PHP's own
// number: as many requests again are more than it gets in the second of a start.
func (k *checker) phpMaxRequests(b *Backend) {
	text, _ := b.variable(phpMaxRequests)
	at := b.Places.At("env."+phpMaxRequests, "env", "command")
	own, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || own < 0 {
		k.refuse(at, "wrong number %s; want 0, or leave it out", quote(text))
		return
	}
	most := b.MaxRequests + b.MaxRequestsJitter + len(b.Ready.Warmup)
	switch {
	case own == 0:
	case b.MaxRequests == 0:
		k.refuse(at, "php-cgi would end by itself after %d requests and lose what waits for it; leave it out, or write a max_requests of less than half of it", own)
	case 2*most > own:
		k.refuse(at, "php-cgi would end by itself after %d requests and lose what waits for it, as it is replaced after up to %d "+
			"(max_requests with jitter and warmup) and serves on until then; leave it out, or write at least %d", own, most, 2*most)
	}
}

// kindOnHost looks for what the kind of u needs of the machine, and reports whether it runs there at all.
func (k *checker) kindOnHost(u *Upstream, h host) bool {
	p, ok := presetOf(u.Kind)
	if !ok {
		return true
	}
	b := u.Backend
	if h.windows && p.unixOnly != "" {
		k.refuse(u.Places.At("kind"), "%s", p.unixOnly)
		return false
	}
	if children, _ := b.variable(phpChildren); h.windows && p.name == "php-cgi" && strings.Trim(children, "0 ") != "" {
		k.refuse(b.Places.At("env."+phpChildren, "env"),
			"on Windows one of the children of a php-cgi gets all requests; leave it out, and write processes: %d", b.Processes.Max)
	}
	if p.found == "" || u.Places.Has("concurrency") {
		return true
	}
	if _, err := os.Stat(filepath.Join(b.Directory, p.found)); err == nil {
		k.refuse(u.Places.At("kind"), openConcurrency, p.found)
	}
	return true
}
