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
	protocols := []Protocol{HTTP, FastCGI, SCGI, UWSGI}
	return []field[upstreamDraft]{
		value("kind", (*reader).kind, func(u *upstreamDraft) *string { return &u.Kind }),
		value("protocol", word(protocols), func(u *upstreamDraft) *Protocol { return &u.Protocol }),
		value("method", (*reader).method, func(u *upstreamDraft) *Method { return &u.Method }),
		value("sticky", (*reader).sticky, func(u *upstreamDraft) *Sticky { return &u.Sticky }),
		value("keepalive", number(0, anyCount), func(u *upstreamDraft) *int { return &u.Keepalive }),
		value("keepalive_timeout", (*reader).timeout, func(u *upstreamDraft) *Duration { return &u.KeepaliveTimeout }),
		value("keepalive_requests", number(1, anyCount), func(u *upstreamDraft) *int { return &u.KeepaliveRequests }),
		value("max_fails", number(0, anyCount), func(u *upstreamDraft) *int { return &u.MaxFails }),
		value("fail_timeout", (*reader).duration, func(u *upstreamDraft) *Duration { return &u.FailTimeout }),
		value("max_conns", number(0, anyCount), func(u *upstreamDraft) *int { return &u.MaxConns }),
		value("slow_start", (*reader).duration, func(u *upstreamDraft) *Duration { return &u.SlowStart }),
		value("concurrency", number(0, anyCount), func(u *upstreamDraft) *int { return &u.Concurrency }),
		value("queue", (*reader).queue, func(u *upstreamDraft) *Queue { return &u.Queue }),
		value("hold_timeout", offOr((*reader).duration), func(u *upstreamDraft) *Duration { return &u.HoldTimeout }),
		value("retry_budget", (*reader).retryBudget, func(u *upstreamDraft) *RetryBudget { return &u.RetryBudget }),
		value("tls", (*reader).tls, func(u *upstreamDraft) *TLS { return &u.TLS }),
		value("http_version", word([]string{"1.0", "1.1"}), func(u *upstreamDraft) *string { return &u.HTTPVersion }),
		value("health", (*reader).health, func(u *upstreamDraft) **Health { return &u.Health }),
		value("poison_guard", (*reader).poisonGuard, func(u *upstreamDraft) *PoisonGuard { return &u.PoisonGuard }),
		value("backend", (*reader).backend, func(u *upstreamDraft) **Backend { return &u.Backend }),
		value("peers", (*reader).peers, func(u *upstreamDraft) *[]Peer { return &u.Peers }),
	}
}

func queueFields() []field[Queue] {
	return []field[Queue]{
		value("length", number(1, anyCount), func(q *Queue) *int { return &q.Length }),
		value("timeout", (*reader).timeout, func(q *Queue) *Duration { return &q.Timeout }),
		value("per_client", offOr(number(1, anyCount)), func(q *Queue) *int { return &q.PerClient }),
		value("reserve", offOr((*reader).percent), func(q *Queue) *int { return &q.Reserve }),
	}
}

func retryBudgetFields() []field[RetryBudget] {
	return []field[RetryBudget]{
		value("ratio", (*reader).percent, func(b *RetryBudget) *int { return &b.Percent }),
		value("min", number(0, 1000000), func(b *RetryBudget) *int { return &b.Min }),
	}
}

func poisonGuardFields() []field[PoisonGuard] {
	return []field[PoisonGuard]{
		value("kills", number(1, 1000), func(g *PoisonGuard) *int { return &g.Kills }),
		value("hold", (*reader).timeout, func(g *PoisonGuard) *Duration { return &g.Hold }),
	}
}

func peerFields() []field[Peer] {
	return []field[Peer]{
		value("address", (*reader).text, func(p *Peer) *string { return &p.Address }),
		value("weight", number(1, 65535), func(p *Peer) *int { return &p.Weight }),
		value("max_fails", number(0, anyCount), func(p *Peer) *int { return &p.MaxFails }),
		value("fail_timeout", (*reader).duration, func(p *Peer) *Duration { return &p.FailTimeout }),
		value("max_conns", number(0, anyCount), func(p *Peer) *int { return &p.MaxConns }),
		value("slow_start", (*reader).duration, func(p *Peer) *Duration { return &p.SlowStart }),
		value("backup", (*reader).flag, func(p *Peer) *bool { return &p.Backup }),
		value("down", (*reader).flag, func(p *Peer) *bool { return &p.Down }),
		value("drain", (*reader).flag, func(p *Peer) *bool { return &p.Drain }),
		value("resolve", (*reader).flag, func(p *Peer) *bool { return &p.Resolve }),
		value("service", (*reader).text, func(p *Peer) *string { return &p.Service }),
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
		r.finishUpstream(&u.Upstream)
		for i := range u.Peers {
			r.finishPeer(&u.Peers[i], &u.Upstream)
		}
	}
	return upstreams, true
}

// finishUpstream fills what follows from other values of u.
func (r *reader) finishUpstream(u *Upstream) {
	isGeneric := u.Kind == generic
	if isGeneric {
		u.Kind = ""
	}
	u.applyPreset()
	if isGeneric && u.Kind != "" {
		r.problems = append(r.problems, u.Places.At("kind").problem(wrongKind, u.Backend.program(), u.Kind, generic))
	}
	if u.Backend != nil {
		r.finishBackend(u.Backend)
	}
	if !u.Places.Has("queue") && (u.Backend != nil || u.Concurrency > 0) {
		u.Queue = DefaultQueue()
	}
	if !u.Places.Has("hold_timeout") && u.Backend != nil {
		u.HoldTimeout = DefaultHoldTimeout
	}
}

// queue reads off or a section.
func (r *reader) queue(n *node) (Queue, bool) {
	if n.isOff() {
		return Queue{}, true
	}
	if n.kind != mapping {
		r.refuse(n, "want off or {length: 1000, timeout: 60s}, got %s", n.describe())
		return Queue{}, false
	}
	q := DefaultQueue()
	q.PerClient = 0 // if it is refused
	if places := section(r, n, &q, queueFields()); !places.Has("per_client") {
		q.PerClient = perClient(q.Length)
	}
	return q, true
}

// retryBudget reads off or a section.
func (r *reader) retryBudget(n *node) (RetryBudget, bool) {
	if n.isOff() {
		return RetryBudget{}, true
	}
	if n.kind != mapping {
		r.refuse(n, "want off or {ratio: 20%%, min: 3}, got %s", n.describe())
		return RetryBudget{}, false
	}
	b := DefaultRetryBudget()
	section(r, n, &b, retryBudgetFields())
	if b == (RetryBudget{}) {
		r.refuse(n, "allows no retry at all; write next_upstream: off for that, or off for no budget")
		return RetryBudget{}, false
	}
	return b, true
}

// poisonGuard reads off or a section.
func (r *reader) poisonGuard(n *node) (PoisonGuard, bool) {
	if n.isOff() {
		return PoisonGuard{}, true
	}
	if n.kind != mapping {
		r.refuse(n, "want off or {kills: 2, hold: 60s}, got %s", n.describe())
		return PoisonGuard{}, false
	}
	g := DefaultPoisonGuard()
	section(r, n, &g, poisonGuardFields())
	return g, true
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
	if !p.Places.Has("slow_start") {
		p.SlowStart = defaults.SlowStart
	}
	if p.Address == "" {
		return // a problem already
	}
	if p.Service != "" {
		r.finishService(p)
		return
	}
	network, address, err := parsePeer(p.Address, u.defaultPort(), r.dir)
	if err != nil {
		r.problems = append(r.problems, p.Places.At("address").problem("%v", err))
		return
	}
	p.Network, p.Address = network, address
	if network == "unix" {
		r.refuseNameOnly(p)
	} else {
		r.finishName(p)
	}
}
