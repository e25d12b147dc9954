package main

import (
	"context"
	"time"
)

// deeds are the changes of one kind.
type deeds struct {
	what  string
	count int
	took  time.Duration // all together
	most  time.Duration // the longest
}

// change does what the plan says: reopens and restarts evenly among the reloads.
func (s *site) change(ctx context.Context, p plan) ([]deeds, error) {
	kinds := []struct {
		deeds
		todo int
		do   func(n int) error
	}{
		{deeds{what: "reloads"}, p.reloads, func(n int) error { return s.reload(ctx, n%2 == 0) }},
		{deeds{what: "reopens"}, p.reopens, func(int) error { return s.Reopen(ctx) }},
		{deeds{what: "rolling restarts"}, p.restarts, func(int) error { return s.Command(ctx, "restart") }},
	}
	rounds := max(p.reloads, p.reopens, p.restarts)
	for round := range rounds {
		for i := range kinds {
			k := &kinds[i]
			// The n-th of m deeds is due when n/m of the rounds are over.
			for k.count < k.todo && k.count*rounds <= round*k.todo {
				began := time.Now()
				if err := k.do(k.count); err != nil {
					return nil, err
				}
				took := time.Since(began)
				k.count++
				k.took += took
				k.most = max(k.most, took)
			}
		}
	}
	var done []deeds
	for _, k := range kinds {
		done = append(done, k.deeds)
	}
	return done, nil
}
