package configs

import (
	"slices"
	"strings"
	"unicode"
)

type upstreamDraft struct {
	Upstream

	settings layer[Settings]
}

func upstreamFields() []field[upstreamDraft] {
	protocols, laterProtocols := []Protocol{HTTP, FastCGI}, []Protocol{"scgi", "uwsgi"}
	methods, laterMethods := []Method{RoundRobin}, []Method{"least_conn", "ip_hash", "hash", "random", "least_time", "sticky"}
	return []field[upstreamDraft]{
		value("protocol", word(protocols, laterProtocols), func(u *upstreamDraft) *Protocol { return &u.Protocol }),
		value("method", word(methods, laterMethods), func(u *upstreamDraft) *Method { return &u.Method }),
		value("keepalive", number(0, anyCount), func(u *upstreamDraft) *int { return &u.Keepalive }),
		value("keepalive_timeout", (*reader).timeout, func(u *upstreamDraft) *Duration { return &u.KeepaliveTimeout }),
		value("keepalive_requests", number(1, anyCount), func(u *upstreamDraft) *int { return &u.KeepaliveRequests }),
		value("max_fails", number(0, anyCount), func(u *upstreamDraft) *int { return &u.MaxFails }),
		value("fail_timeout", (*reader).duration, func(u *upstreamDraft) *Duration { return &u.FailTimeout }),
		value("max_conns", number(0, anyCount), func(u *upstreamDraft) *int { return &u.MaxConns }),
		value("backend", (*reader).backend, func(u *upstreamDraft) **Backend { return &u.Backend }),
		value("peers", (*reader).peers, func(u *upstreamDraft) *[]Peer { return &u.Peers }),
	}
}

func peerFields() []field[Peer] {
	return []field[Peer]{
		value("address", (*reader).text, func(p *Peer) *string { return &p.Address }),
		value("weight", number(1, 65535), func(p *Peer) *int { return &p.Weight }),
		value("max_fails", number(0, anyCount), func(p *Peer) *int { return &p.MaxFails }),
		value("fail_timeout", (*reader).duration, func(p *Peer) *Duration { return &p.FailTimeout }),
		value("max_conns", number(0, anyCount), func(p *Peer) *int { return &p.MaxConns }),
		value("backup", (*reader).flag, func(p *Peer) *bool { return &p.Backup }),
		value("down", (*reader).flag, func(p *Peer) *bool { return &p.Down }),
	}
}

func backendFields() []field[Backend] {
	return []field[Backend]{
		value("command", (*reader).command, func(b *Backend) *[]string { return &b.Command }),
		value("directory", (*reader).path, func(b *Backend) *string { return &b.Directory }),
		value("env", (*reader).fields, func(b *Backend) *[]Field { return &b.Env }),
		value("processes", number(1, 1000), func(b *Backend) *int { return &b.Processes }),
		value("ports", (*reader).ports, func(b *Backend) *[]int { return &b.Ports }),
		value("ready", (*reader).ready, func(b *Backend) *Ready { return &b.Ready }),
		value("stop_timeout", (*reader).timeout, func(b *Backend) *Duration { return &b.StopTimeout }),
		value("backoff_min", (*reader).timeout, func(b *Backend) *Duration { return &b.BackoffMin }),
		value("backoff_max", (*reader).timeout, func(b *Backend) *Duration { return &b.BackoffMax }),
	}
}

func readyFields() []field[Ready] {
	return []field[Ready]{
		value("path", (*reader).text, func(r *Ready) *string { return &r.Path }),
		value("timeout", (*reader).timeout, func(r *Ready) *Duration { return &r.Timeout }),
	}
}

func allUpstreamFields() []field[upstreamDraft] {
	return slices.Concat(upstreamFields(),
		inherited(settingFields(), func(u *upstreamDraft) *layer[Settings] { return &u.settings }))
}

func (r *reader) upstreams(n *node) ([]upstreamDraft, bool) {
	if n.kind != mapping {
		r.refuse(n, "want names with upstreams, got %s", n.describe())
		return nil, false
	}
	if len(n.pairs) == 0 {
		r.refuse(n, "is empty")
		return nil, false
	}
	upstreams := make([]upstreamDraft, len(n.pairs))
	for i, p := range n.pairs {
		if !validName(p.key) {
			r.refuse(p.value, "a name has letters, digits, '.', '_' and '-'")
		}
		u := &upstreams[i]
		u.Upstream = DefaultUpstream(p.key)
		u.Places = section(r, p.value, u, allUpstreamFields())
		for i := range u.Peers {
			r.finishPeer(&u.Peers[i], &u.Upstream)
		}
	}
	return upstreams, true
}

// validName keeps names of upstreams fit for log lines and labels of metrics.
func validName(s string) bool {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '_' && r != '-' || r == unicode.ReplacementChar
	}
	return s != "" && !strings.ContainsFunc(s, odd)
}

// peers reads addresses and sections; finishPeer completes them, when the protocol is known.
func (r *reader) peers(n *node) ([]Peer, bool) {
	items := n.list()
	if n.kind == empty || len(items) == 0 {
		r.refuse(n, "want a list of addresses, got nothing")
		return nil, false
	}
	peers := make([]Peer, len(items))
	for i, item := range items {
		p := &peers[i]
		p.Weight = 1
		if item.kind == mapping {
			p.Places = section(r, item, p, peerFields())
			if !p.Places.Has("address") {
				r.refuse(item, "address is missing")
			}
			continue
		}
		p.Address, _ = r.text(item)
		p.Places = Places{"": item.place}
	}
	return peers, true
}

// finishPeer takes over what the upstream says for its peers, and splits the address.
func (r *reader) finishPeer(p *Peer, u *Upstream) {
	defaults := DefaultPeer(u)
	if !p.Places.Has("max_fails") {
		p.MaxFails = defaults.MaxFails
	}
	if !p.Places.Has("fail_timeout") {
		p.FailTimeout = defaults.FailTimeout
	}
	if !p.Places.Has("max_conns") {
		p.MaxConns = defaults.MaxConns
	}
	if p.Address == "" {
		return // a problem already
	}
	network, address, err := parsePeer(p.Address, u.Protocol, r.dir)
	if err != nil {
		r.problems = append(r.problems, p.Places.At("address").problem("%v", err))
		return
	}
	p.Network, p.Address = network, address
}

func (r *reader) backend(n *node) (*Backend, bool) {
	b := DefaultBackend(r.dir)
	b.Places = section(r, n, &b, backendFields())
	if !b.Places.Has("command") {
		r.refuse(n, "command is missing")
	}
	if len(b.Ports) > 0 && !b.Places.Has("processes") {
		b.Processes = len(b.Ports) // whoever lists the ports has counted the processes
	}
	return &b, true
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
