package configs

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Resolver says whom host names of peers are asked of, nginx's resolver.
type Resolver struct {
	Addresses []string // of name servers, host and port; empty: those of the system, with its hosts file first
	Valid     Duration // how long an answer is good, whatever its TTL says; 0: as long as that says
	Timeout   Duration // a lookup that takes longer has failed
	IPv6      bool     // AAAA is asked for, too

	Places Places
}

func resolverFields() []field[Resolver] {
	return []field[Resolver]{
		value("addresses", (*reader).nameServers, func(s *Resolver) *[]string { return &s.Addresses }),
		value("valid", offOr((*reader).timeout), func(s *Resolver) *Duration { return &s.Valid }),
		value("timeout", (*reader).timeout, func(s *Resolver) *Duration { return &s.Timeout }),
		value("ipv6", (*reader).flag, func(s *Resolver) *bool { return &s.IPv6 }),
	}
}

// resolver reads a section, or the addresses alone.
func (r *reader) resolver(n *node) (Resolver, bool) {
	s := DefaultResolver()
	if n.kind == mapping {
		s.Places = section(r, n, &s, resolverFields())
		return s, true
	}
	var ok bool
	s.Addresses, ok = r.nameServers(n)
	s.Places = Places{"": n.place, "addresses": n.place}
	return s, ok
}

// nameServers reads addresses of name servers.
func (r *reader) nameServers(n *node) ([]string, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	var servers []string
	for i, s := range texts {
		server, err := parseNameServer(s)
		if err != nil {
			r.refuse(n.list()[i], "wrong name server %s; %v", quote(s), err)
			ok = false
		}
		servers = append(servers, server)
	}
	return servers, ok
}

var errNameServer = errors.New(`want an address, such as 10.0.0.53 or "10.0.0.53:5353"`)

// parseNameServer reads the address of a name server, with or without a port. A name would have to be resolved itself.
func parseNameServer(s string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(ip, 53).String(), nil
	}
	address, err := netip.ParseAddrPort(s)
	if err != nil || address.Port() == 0 {
		return "", errNameServer
	}
	return address.String(), nil
}

// finishName notes that the peer is a name that has to be resolved. localhost is no question for DNS: it is 127.0.0.1 (RFC 6761),
// and not ::1, where most programs do not listen and Windows takes its time to say so.
func (r *reader) finishName(p *Peer) {
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return
	}
	if bare := strings.ToLower(strings.TrimSuffix(host, ".")); bare == "localhost" || strings.HasSuffix(bare, ".localhost") {
		p.Host, host = strings.TrimSuffix(host, "."), "127.0.0.1"
		p.Address = net.JoinHostPort(host, port)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		r.refuseNameOnly(p)
		return
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	p.Name, p.Port = host, uint16(n)
	p.Resolve = p.Resolve || !p.Places.Has("resolve")
}

// finishService is finishName for a name whose ports are in SRV records.
func (r *reader) finishService(p *Peer) {
	refuse := func(key, format string, args ...any) {
		r.problems = append(r.problems, p.Places.At(key).problem(format, args...))
	}
	if _, err := netip.ParseAddr(p.Address); err == nil || strings.ContainsAny(p.Address, ":/") || !validHost(p.Address) || p.Address == "*" {
		refuse("address", "wrong name %s; with a service want a host name without a port, such as app.internal: the ports are in DNS", quote(p.Address))
		return
	}
	if !validHost(p.Service) || strings.HasPrefix(p.Service, ".") {
		refuse("service", "wrong service %s; want a name such as http, or _http._tcp as it is in DNS", quote(p.Service))
		return
	}
	p.Network, p.Name = "tcp", p.Address
	p.Resolve = p.Resolve || !p.Places.Has("resolve")
}

// refuseNameOnly refuses what only a name can have.
func (r *reader) refuseNameOnly(p *Peer) {
	if p.Places.Has("resolve") {
		what := quote(p.Address)
		if p.Network == "unix" {
			what = "a socket"
		}
		r.problems = append(r.problems, p.Places.At("resolve").problem("is for a host name; %s is an address already", what))
	}
}

// HasNames says whether peers of the upstream are host names that have to be resolved.
func (u *Upstream) HasNames() bool {
	for i := range u.Peers {
		if u.Peers[i].Name != "" {
			return true
		}
	}
	return false
}
