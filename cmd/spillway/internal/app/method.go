package app

import (
	"fmt"
	"time"

	"spillway/balancer"
	"spillway/configs"
	"spillway/proxy/relay"
	"spillway/upstream"
)

// newPicker makes what chooses the peers of an upstream.
func newPicker(u *configs.Upstream) balancer.Picker {
	picker := newMethod(&u.Method)
	if u.Sticky.Cookie != "" {
		return balancer.NewSticky(picker)
	}
	return picker
}

func newMethod(m *configs.Method) balancer.Picker {
	switch m.Name {
	case configs.LeastConn:
		return balancer.NewLeastConn()
	case configs.LeastTime:
		return balancer.NewLeastTime(balancer.LeastTimeOptions{LastByte: m.LastByte, Inflight: m.Inflight})
	case configs.IPHash:
		return balancer.NewIPHash()
	case configs.Hash:
		if m.Consistent {
			return balancer.NewKetama()
		}
		return balancer.NewHash()
	case configs.Random:
		if m.Two {
			return balancer.NewRandomTwo()
		}
		return balancer.NewRandom()
	case configs.RoundRobin:
	}
	return balancer.NewRoundRobin()
}

// newFlights says which attempts the peers count for the method.
func newFlights(m *configs.Method) upstream.Flights {
	switch {
	case !m.Inflight:
		return upstream.NoFlights
	case m.LastByte:
		return upstream.UntilEnd
	default:
		return upstream.UntilHead
	}
}

// setChoice sets what a location's exchanges tell the picker of its upstream.
func setChoice(opts *relay.Options, u *configs.Upstream) error {
	if u.Method.Key != "" {
		key, err := compile(u.Method.Key)
		if err != nil {
			return fmt.Errorf("upstream %s: method: %w", u.Name, err)
		}
		opts.Key = key
	}
	if s := &u.Sticky; s.Cookie != "" {
		opts.Sticky = &relay.Sticky{
			Cookie: s.Cookie, Expires: time.Duration(s.Expires), Domain: s.Domain, Path: s.Path,
			Secure: s.Secure, HTTPOnly: s.HTTPOnly, SameSite: s.SameSite,
		}
	}
	return nil
}
