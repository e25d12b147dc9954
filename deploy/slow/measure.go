package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"spillway/deploy/internal/peers"
	"spillway/deploy/internal/proc"
	"spillway/deploy/internal/program"
)

// numberField is the response field with the number of the body.
const numberField = "X-Body"

// The configurations are equivalent: eight buffers of 8 KiB, spill files, no keep-alive to the peers.
//
//go:embed nginx.conf.tmpl spillway.yaml.tmpl
var templates embed.FS

// proxies are the programs of the plan.
func (p *plan) proxies() []program.Command {
	all := []program.Command{
		{Name: "nginx", File: p.nginx, Templates: templates, Template: "nginx.conf.tmpl"},
		{Name: "spillway", File: p.spillway, Templates: templates, Template: "spillway.yaml.tmpl"},
	}
	return slices.DeleteFunc(all, func(c program.Command) bool { return c.File == "" })
}

// A cost is what one measurement found.
type cost struct {
	free     []time.Duration // from the requests to the end of each connection to a peer, sorted
	served   time.Duration   // from the requests to the end of the last response; of fast clients only it says something
	memory   int64           // the most resident memory, in bytes
	disk     int64           // the most of the files without a name, in bytes
	cpu      time.Duration   // until the last peer was free
	leftOver int             // files in the temporary folder, and without a name, after the last response
}

// measure lets clients of one rate read all bodies through a proxy:
//
//  1. peers, the proxy and the clients' connections are set up; then all clients ask at once;
//  2. the peers tell when they are free; meanwhile the disk is watched;
//  3. the slow clients hurry;
//  4. memory and what is left over are looked at when all have ended.
func measure(ctx context.Context, command program.Command, protocol string, b *bodies, rate int) (cost, error) {
	freed := make(chan time.Time, b.count)
	set, err := peers.Start(ctx, protocol, peers.Count, answerWith(b, freed))
	if err != nil {
		return cost{}, err
	}
	defer set.Close()
	command.Protocol, command.Peers = protocol, set.Addrs
	proxy, err := program.Start(ctx, command)
	if err != nil {
		return cost{}, err
	}
	defer proxy.Stop()

	hurry := make(chan struct{})
	clients, err := dialAll(ctx, proxy.Addr, b.count, rate, hurry)
	defer closeAll(clients)
	if err != nil {
		return cost{}, err
	}

	before, err := proc.CPUTime(proxy.PID())
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	ends := make(chan end, len(clients))
	for _, c := range clients {
		go func() { // ends with the response, or with the connection
			n, err := c.get(b)
			ends <- end{n, err}
		}()
	}
	found, err := watch(ctx, proxy.PID(), began, freed, b.count)
	if err != nil {
		return cost{}, errors.Join(err, firstError(ends))
	}
	found.cpu -= before
	close(hurry)
	if err := collect(ctx, ends, b.count); err != nil {
		return cost{}, err
	}
	found.served = time.Since(began)
	if found.memory, err = proc.PeakRSS(proxy.PID()); err != nil {
		return cost{}, err
	}
	found.leftOver, err = leftOver(ctx, proxy)
	return found, err
}

// answerWith answers one request on each connection, and tells when the proxy has closed it.
func answerWith(b *bodies, freed chan<- time.Time) func(*peers.Conn) error {
	var numbers dealer
	return func(c *peers.Conn) error {
		if err := c.Next(); err != nil {
			return err
		}
		n := numbers.next()
		if n >= b.count {
			return errors.New("more requests than clients")
		}
		response := c.Response(numberField+": "+strconv.Itoa(n)+"\r\n", b.body(n))
		_, err := response.WriteTo(c.Conn)
		if err == nil {
			// An error is as good as the end: nginx resets a connection when it has the body, but not what follows. Whether
			// the body was complete is seen by the client.
			err = c.Next()
		}
		freed <- time.Now()
		return err
	}
}

// watch returns when all peers are free.
func watch(ctx context.Context, pid int, began time.Time, freed <-chan time.Time, count int) (cost, error) {
	var found cost
	// Rarely: to look at the disk takes a few milliseconds of CPU time.
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for len(found.free) < count {
		select {
		case now := <-freed:
			found.free = append(found.free, now.Sub(began))
			if len(found.free) < count {
				continue
			}
		case <-look.C:
		case <-ctx.Done():
			return found, fmt.Errorf("%d of %d peers are free: %w", len(found.free), count, ctx.Err())
		}
		size, _, err := proc.Deleted(pid)
		if err != nil {
			return found, err
		}
		found.disk = max(found.disk, size)
	}
	slices.Sort(found.free)
	var err error
	found.cpu, err = proc.CPUTime(pid)
	return found, err
}

// An end is that of a client.
type end struct {
	number int
	err    error
}

// firstError is that of a client that has ended already.
func firstError(ends <-chan end) error {
	for range len(ends) {
		if e := <-ends; e.err != nil {
			return e.err
		}
	}
	return nil
}

// collect waits for all clients; each must have got another body.
func collect(ctx context.Context, ends <-chan end, count int) error {
	seen := make([]bool, count)
	for range count {
		select {
		case e := <-ends:
			if e.err != nil {
				return fmt.Errorf("body %d: %w", e.number, e.err)
			}
			if seen[e.number] {
				return fmt.Errorf("body %d came twice", e.number)
			}
			seen[e.number] = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// leftOver counts files in the folders below the proxy's own, and those without a name. The proxy has a second to notice
// that the clients have gone.
func leftOver(ctx context.Context, proxy *program.Program) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		_, files, err := proc.Deleted(proxy.PID())
		if err != nil {
			return 0, err
		}
		err = filepath.WalkDir(proxy.Folder, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && filepath.Dir(name) != proxy.Folder {
				files++
			}
			return err
		})
		if files == 0 || err != nil || ctx.Err() != nil {
			return files, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}
