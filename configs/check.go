package configs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Check compares the values of a complete Config with each other and returns what does not fit, in no particular order.
// It asks nothing of the machine; CheckHost does.
func (c *Config) Check() Problems {
	k := checker{config: c}
	for _, s := range c.Servers {
		k.server(s)
	}
	for _, u := range c.Upstreams {
		k.upstream(u)
	}
	k.listeners()
	k.ports()
	k.files()
	return k.problems
}

type checker struct {
	config   *Config
	problems Problems
}

func (k *checker) refuse(p Place, format string, args ...any) {
	k.problems = append(k.problems, p.problem(format, args...))
}

func (k *checker) server(s *Server) {
	if len(s.Listen) == 0 && !s.Places.Has("listen") {
		k.refuse(s.Places.At(), `listen is missing, such as listen: "80"`)
	}
	if len(s.Locations) == 0 && !s.Places.Has("locations") {
		k.refuse(s.Places.At(), "locations is missing")
	}
	for i, l := range s.Listen {
		if slices.ContainsFunc(s.Listen[:i], func(before Listen) bool { return before.Address == l.Address }) {
			k.refuse(s.Places.At("listen"), "a duplicate listen %s", l.Address)
		}
	}
	k.serverTLS(s)
	first := map[string]Place{}
	for i := range s.Locations {
		l := &s.Locations[i]
		k.location(s, l)
		at := l.Places.At("path")
		rule := l.Path
		if l.Exact {
			rule = "= " + l.Path
		}
		if before, again := first[rule]; again && l.Path != "" {
			k.refuse(at, "duplicate location %s, first in line %d", quote(rule), before.Line)
		} else {
			first[rule] = at
		}
	}
}

func (k *checker) location(s *Server, l *Location) {
	if !l.Places.Has("path") && l.Path == "" {
		k.refuse(l.Places.At(), "path is missing")
	}
	if l.Pass != "" {
		k.pass(l)
		k.lane(l)
	} else if !l.Places.Has("pass") {
		k.refuse(l.Places.At(), "pass is missing: answers from files come later, so every location passes to an upstream")
	}
	if l.Settings.refused {
		return
	}
	k.buffering(&l.Settings)
	k.errorPages(s, l)
	if split := l.Settings.Script.SplitPathInfo; split != "" {
		at := l.Settings.Places.At("split_path_info")
		if re, err := regexp.Compile(split); err != nil {
			k.refuse(at, "wrong regular expression %s; %s", quote(split), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		} else if re.NumSubexp() != 2 {
			k.refuse(at, `want 2 groups, script name and path info, such as '^(.+\.php)(/.*)$', got %d in %s`, re.NumSubexp(), quote(split))
		}
	}
}

func (k *checker) pass(l *Location) {
	names := make([]string, len(k.config.Upstreams))
	for i, u := range k.config.Upstreams {
		names[i] = u.Name
	}
	if slices.Contains(names, l.Pass) || len(names) == 0 && k.config.Places.Has("upstreams") {
		return // known, or the upstreams are a problem already
	}
	if l.Pass == "" {
		k.refuse(l.Places.At("pass"), "want the name of an upstream")
		return
	}
	bare := l.Pass
	if _, rest, ok := strings.Cut(bare, "://"); ok {
		bare = strings.TrimSuffix(rest, "/") // as in nginx's proxy_pass
	}
	hint := didYouMean(bare, names)
	if hint == "" && strings.ContainsAny(bare, ":/") {
		hint = "; pass is a name: write the address in upstreams.NAME.peers"
	} else if hint == "" && len(names) > 0 {
		hint = "; known: " + strings.Join(names, " ")
	}
	k.refuse(l.Places.At("pass"), "unknown upstream %s%s", quote(l.Pass), hint)
}

// lane refuses a lane where nobody waits: it would change nothing.
func (k *checker) lane(l *Location) {
	i := slices.IndexFunc(k.config.Upstreams, func(u *Upstream) bool { return u.Name == l.Pass })
	if i < 0 || l.Lane == LaneNormal {
		return
	}
	u, at := k.config.Upstreams[i], l.Places.At("lane")
	limited := u.Concurrency > 0 || u.MaxConns > 0 || slices.ContainsFunc(u.Peers, func(p Peer) bool { return p.MaxConns > 0 })
	if !limited {
		k.refuse(at, "is for requests that wait, and those of %s do not: it has neither concurrency nor max_conns", quote(u.Name))
	} else if u.Queue.Length == 0 {
		k.refuse(at, "is for requests that wait, and those of %s do not: its queue is off", quote(u.Name))
	}
}

// buffering holds nginx's relations between the sizes, in nginx's words (ngx_http_fastcgi_merge_loc_conf).
func (k *checker) buffering(s *Settings) {
	b, at := &s.Buffering, s.Places
	largest := b.largest()
	if b.Buffers.Number < 2 {
		k.refuse(at.At("buffers"), `there must be at least 2 "buffers"`)
		return
	}
	const larger = `must be equal to or greater than the maximum of the value of "buffer_size" and one of the "buffers": %v < %v`
	if b.BusyBuffersSize < largest {
		k.refuse(at.At("busy_buffers_size", "buffer_size", "buffers"), `"busy_buffers_size" `+larger, b.BusyBuffersSize, largest)
	}
	if rest := Size(b.Buffers.Number-1) * b.Buffers.Size; b.BusyBuffersSize > rest {
		k.refuse(at.At("busy_buffers_size", "buffers", "buffer_size"),
			`"busy_buffers_size" must be less than the size of all "buffers" minus one buffer: %v > %v`, b.BusyBuffersSize, rest)
	}
	if b.MaxTempFileSize != 0 && b.MaxTempFileSize < largest {
		k.refuse(at.At("max_temp_file_size", "buffer_size", "buffers"),
			`"max_temp_file_size" must be equal to zero to disable temporary files usage or `+larger, b.MaxTempFileSize, largest)
	}
	if b.TempFileWriteSize < largest {
		k.refuse(at.At("temp_file_write_size", "buffer_size", "buffers"), `"temp_file_write_size" `+larger, b.TempFileWriteSize, largest)
	}
}

func (k *checker) upstream(u *Upstream) {
	peers, backend := len(u.Peers) > 0 || u.Places.Has("peers"), u.Backend != nil || u.Places.Has("backend")
	switch {
	case peers && backend && (len(u.Peers) > 0 || u.Backend != nil): // else neither could be read
		k.refuse(u.Places.At(), "has both peers and a backend; keep one")
	case !peers && !backend:
		k.refuse(u.Places.At(), "has neither peers nor a backend")
	}
	if u.Backend == nil && u.HoldTimeout > 0 && !u.HasNames() {
		k.refuse(u.Places.At("hold_timeout"), "is for a backend, or host names: nobody here starts the peers, so there is none to wait for")
	}
	if u.Keepalive > 0 && (u.Protocol == SCGI || u.Protocol == UWSGI) {
		k.refuse(u.Places.At("keepalive"), "%s carries one request on a connection, so none can be kept; leave it out", u.Protocol)
	}
	k.kind(u)
	k.tls(u)
	if u.HTTPVersion == "1.0" && u.Keepalive > 0 && u.Places.Has("keepalive") {
		k.refuse(u.Places.At("http_version"), "keeps no connection; write keepalive: 0, or http_version: 1.1")
	}
	if q := &u.Queue; q.PerClient > q.Length {
		k.refuse(u.Places.At("queue.per_client"), "is more than length, so no limit: %d > %d; write off for none", q.PerClient, q.Length)
	}
	k.choice(u)
	k.health(u)
	k.ownScripts(u)
	if u.Backend != nil {
		k.backend(u)
		if u.Backend.Processes.Min == 0 && u.HoldTimeout == 0 {
			k.refuse(u.Places.At("hold_timeout", "backend.processes"),
				"with min: 0 and without a hold_timeout the request that starts a process would not wait for it; write hold_timeout: %v", DefaultHoldTimeout)
		}
	}
}

// listeners looks for addresses that exclude each other, and for servers that would never be asked.
func (k *checker) listeners() {
	listeners := k.config.Listeners()
	for i, l := range listeners {
		for _, other := range listeners[:i] {
			if collide(l.Address, other.Address) {
				k.refuse(l.place, "%s and %s of line %d exclude each other; listen on one of them", l.Address, other.Address, other.place.Line)
			}
		}
		if admin := k.config.Admin; admin.Address != "" && collide(l.Address, admin.Address) {
			k.refuse(admin.Places.At("listen"), "%s is taken by a server in line %d", admin.Address, l.place.Line)
		}
		k.serversOf(l)
		k.secured(l)
	}
}

func (k *checker) serversOf(l *Listener) {
	names := map[string]Place{}
	var first *Server
	for _, s := range l.Servers {
		if s.DefaultServer && first != nil {
			k.refuse(s.Places.At("default_server"), "a duplicate default server for %s, first in line %d",
				l.Address, first.Places.At("default_server").Line)
		} else if s.DefaultServer {
			first = s
		}
		for _, name := range s.Names {
			at := s.Places.At("server_name", "listen")
			if before, again := names[name]; again {
				k.refuse(at, "conflicting server name %s on %s, first in line %d", quote(name), l.Address, before.Line)
				continue
			}
			names[name] = at
		}
	}
}

// ports looks for ports of processes that something else has.
func (k *checker) ports() {
	type owner struct {
		name  string
		place Place
	}
	owners := map[int]owner{}
	claim := func(address, name string, place Place) {
		if port, taken := local(address); taken {
			if n, err := strconv.Atoi(port); err == nil {
				owners[n] = owner{name, place}
			}
		}
	}
	for _, l := range k.config.Listeners() {
		claim(l.Address, "a listener", l.place)
	}
	claim(k.config.Admin.Address, "the admin listener", k.config.Admin.Places.At("listen"))
	for _, u := range k.config.Upstreams {
		if u.Backend == nil {
			continue
		}
		at := u.Backend.Places.At("ports")
		for _, port := range u.Backend.Ports {
			if o, taken := owners[port]; taken {
				k.refuse(at, "port %d is taken by %s in line %d", port, o.name, o.place.Line)
				continue
			}
			owners[port] = owner{"upstream " + u.Name, at}
		}
	}
}
