package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"spillway/deploy/internal/peers"
	"spillway/deploy/internal/proc"
	"spillway/deploy/internal/program"
)

const (
	warmUp = 300 * time.Millisecond
	settle = 2 * time.Second // before the memory of idle clients is looked at
)

// compare measures every proxy of the plan in one scenario:
//
//  1. peers and proxies are set up, and warmed up;
//  2. rounds in a closed loop say what a request costs, and how many there can be;
//  3. rounds in an open loop, at half of that, say how long a request takes.
//
// A proxy with which something goes wrong is left out of the rest, and the report says why.
func compare(ctx context.Context, p *plan, s *scenario) ([]result, error) {
	set, err := peers.Start(ctx, s.protocol, peers.Count, answer(s.size))
	if err != nil {
		return nil, err
	}
	defer set.Close()
	if s.idle {
		return compareIdle(ctx, p, s, set.Addrs)
	}

	results := newResults(p, s)
	proxies := startProxies(ctx, p, s, set.Addrs, results)
	defer stopProxies(proxies)
	err = interleave(ctx, 1, results, func(i int) error {
		_, err := measure(ctx, proxies[i], s.order(warmUp, s.rate))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = interleave(ctx, p.rounds, results, func(i int) error {
		r, err := measure(ctx, proxies[i], s.order(p.length, s.rate))
		if err == nil {
			log.Printf("%s: %s", s.name(), r.describe(proxies[i].Name))
			results[i].closed = append(results[i].closed, r)
		}
		return err
	})
	if s.rate > 0 { // those rounds were in an open loop
		for i := range results {
			results[i].open = results[i].closed
		}
	}
	if err != nil || p.closed || s.rate > 0 {
		return results, err
	}
	rates := halfLoad(results)
	err = interleave(ctx, p.rounds, results, func(i int) error {
		r, err := measure(ctx, proxies[i], s.order(p.length, rates[i]))
		if err == nil {
			log.Printf("%s: %s, at %.0f requests/s", s.name(), r.describe(proxies[i].Name), rates[i])
			results[i].open = append(results[i].open, r)
		}
		return err
	})
	return results, err
}

// order is for the clients of one round; the address comes later.
func (s *scenario) order(length time.Duration, rate float64) order {
	return order{
		Size: s.size, Post: s.post, Conns: s.conns, Slow: s.slow, Fresh: s.fresh, TLS: s.certificate,
		Length: length, Rate: rate,
	}
}

// interleave lets all proxies have their rounds, as neighbours in time have the same machine. The error is that of ctx.
func interleave(ctx context.Context, rounds int, results []result, round func(i int) error) error {
	for n := range rounds {
		for i := range results {
			// Every other round in reverse: none is always the first.
			if n%2 == 1 {
				i = len(results) - 1 - i
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if results[i].failed != nil {
				continue
			}
			if err := round(i); err != nil {
				results[i].leaveOut(err)
			}
		}
	}
	return ctx.Err()
}

// measure lets clients make requests for a while, and looks at what the proxy takes meanwhile.
func measure(ctx context.Context, proxy *program.Program, o order) (round, error) {
	o.Addr = proxy.Addr
	clients, err := startClients(ctx, o)
	if err != nil {
		return round{}, err
	}
	defer clients.end()
	before, err := proc.CPUTime(proxy.PID())
	if err != nil {
		return round{}, err
	}
	if err := clients.begin(); err != nil {
		return round{}, err
	}
	if err := sleep(ctx, o.Length/2); err != nil {
		return round{}, err
	}
	memory, err := proc.Memory(proxy.PID())
	if err != nil {
		return round{}, err
	}
	l, err := clients.reply()
	if err != nil {
		return round{}, err
	}
	after, err := proc.CPUTime(proxy.PID())
	return round{load: l, cpu: after - before, memory: memory}, err
}

// compareIdle measures the memory of idle clients, each time with proxies that have had no others.
func compareIdle(ctx context.Context, p *plan, s *scenario, peers []string) ([]result, error) {
	results := newResults(p, s)
	for range p.rounds {
		proxies := startProxies(ctx, p, s, peers, results)
		err := interleave(ctx, 1, results, func(i int) error {
			r, err := measureIdle(ctx, proxies[i], s.order(0, 0))
			if err == nil {
				log.Printf("%s: %s", s.name(), r.describe(proxies[i].Name))
				results[i].idle = append(results[i].idle, r)
			}
			return err
		})
		stopProxies(proxies)
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// measureIdle looks at the memory of a proxy before and after clients have come to stay.
func measureIdle(ctx context.Context, proxy *program.Program, o order) (idleRound, error) {
	before, err := proc.Memory(proxy.PID())
	if err != nil {
		return idleRound{}, err
	}
	o.Addr = proxy.Addr
	clients, err := startClients(ctx, o)
	if err != nil {
		return idleRound{}, err
	}
	defer clients.end()
	if err := sleep(ctx, settle); err != nil {
		return idleRound{}, err
	}
	after, err := proc.Memory(proxy.PID())
	if err != nil {
		return idleRound{}, fmt.Errorf("memory: %w", err)
	}
	return idleRound{before: before, after: after, clients: o.Conns}, nil
}
