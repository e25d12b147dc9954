package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"syscall"
	"time"
)

// patience is how long spillway may take for what it does by itself: noticing an end, getting a process ready. It takes a
// moment, and much longer on a busy machine.
const patience = 2 * time.Minute

// A disturber does one bad or ordinary thing after the other.
type disturber struct {
	site    *site
	journal *journal
	random  *rand.Rand
	second  bool   // the configuration is the second one
	next    uint64 // number of an order
	counts  map[string]int
}

// disturb begins rounds as long as there is time. Each does everything once, but kills twice, in an order of its own.
func (d *disturber) disturb(ctx context.Context, until time.Time, interval time.Duration) error {
	deeds := []struct {
		what string
		do   func(context.Context) error
	}{
		{"processes killed", d.kill},
		{"processes killed", d.kill},
		{"processes that hung for a moment", d.hang},
		{"reloads", d.reload},
		{"rolling restarts", func(ctx context.Context) error { return d.site.Command(ctx, "restart") }},
		{"reopens", d.site.Reopen},
		{"poisoned requests", d.poison},
	}
	wait := time.NewTicker(interval)
	defer wait.Stop()
	for time.Now().Before(until) {
		d.random.Shuffle(len(deeds), func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })
		for _, deed := range deeds {
			select {
			case <-wait.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := deed.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", deed.what, err)
			}
			d.counts[deed.what]++
		}
	}
	return nil
}

// kill ends a process, and waits until spillway knows of it and has another one.
func (d *disturber) kill(ctx context.Context) error {
	service, pid, err := d.victim(ctx)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	over := d.journal.kills.begin(service, pid, 1)
	defer over()
	if err := process.Kill(); errors.Is(err, os.ErrProcessDone) {
		return d.kill(ctx) // that one has been replaced meanwhile
	} else if err != nil {
		return err
	}
	return d.site.until(ctx, func(s *status) bool { return !s.has(pid) && s.ready(d.site.services) })
}

// hang stops a process for a moment. Nothing may fail by that.
func (d *disturber) hang(ctx context.Context) error {
	_, pid, err := d.victim(ctx)
	if err != nil {
		return err
	}
	if err := suspend(pid); errors.Is(err, syscall.ESRCH) {
		return d.hang(ctx) // that one has been replaced meanwhile
	} else if err != nil {
		return err
	}
	pause(time.Duration(200+d.random.IntN(1500)) * time.Millisecond)
	if err := resume(pid); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// victim draws a service, and takes of its processes that are ready the one with the most requests.
func (d *disturber) victim(ctx context.Context) (service string, pid int, err error) {
	var s status
	if err := d.site.Status(ctx, &s); err != nil {
		return "", 0, err
	}
	u := &s.Upstreams[d.random.IntN(len(s.Upstreams))]
	most := -1
	for i := range u.Peers {
		if p := &u.Peers[i]; p.Process.PID != 0 && p.Process.State == stateReady && p.Inflight > most {
			pid, most = p.Process.PID, p.Inflight
		}
	}
	if pid == 0 {
		return "", 0, fmt.Errorf("%s has no process", u.Name)
	}
	return u.Name, pid, nil
}

func (d *disturber) reload(ctx context.Context) error {
	d.second = !d.second
	return d.site.reload(ctx, d.second)
}

// poison sends requests that end the process that they come to: one that may be sent again, which is refused after the second
// process, and one that may not. Whoever is sent to such a process while it ends shares its fate, as with a kill.
func (d *disturber) poison(ctx context.Context) error {
	service := d.site.narrow()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		d.next++
		a := &ask{service: service, method: method, body: 10}
		a.order = order{id: d.next, status: http.StatusOK, pieces: 1, poison: true}
		if err := d.feed(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.target(), err)
		}
	}
	return nil
}

// feed sends one poisoned request, and waits for the processes that take the place of its victims.
func (d *disturber) feed(ctx context.Context, a *ask) error {
	over := d.journal.kills.begin(a.service.name, 0, needed(a.method))
	defer over()
	code, err := d.refused(a)
	if err != nil {
		return err
	}
	if !isRefusal(code) {
		d.journal.wrong(fmt.Sprintf("poison answered with %d", code), a.target())
	}
	return d.site.until(ctx, func(s *status) bool { return s.ready(d.site.services) })
}

// refused makes a request and returns the status of the answer.
func (d *disturber) refused(a *ask) (int, error) {
	c := &client{addr: d.site.Addr, journal: d.journal}
	defer c.close()
	var r result
	err := c.over(a, &r, func(l *link, r *result) error {
		if err := c.write(l, a, true); err != nil {
			return err
		}
		return l.receive(a, -1, r)
	})
	return r.status, err
}
