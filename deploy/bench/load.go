package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// An order is what a process with clients is asked for:
//
//  1. it connects the clients, lets each but the slow ones make a request, and says that it is ready;
//  2. a line on its standard input begins the round, in which it makes requests, and after which it writes what they took;
//  3. it keeps the connections until its standard input ends.
type order struct {
	Addr       string
	Size, Post int // of the bodies, as in scenario
	Conns      int
	Slow       int // clients besides, who ask once, and take half of the round to read the answer
	Fresh      bool
	Tolerant   bool   // a request that fails is counted, and is not the end
	TLS        string // the file with the proxy's certificate; empty is without TLS
	Length     time.Duration
	Rate       float64 // requests per second, over all clients but the slow ones; 0 is a closed loop
}

// A reply is what that process writes when it is ready, and after the round.
type reply struct {
	Load load
	Err  string
}

// clients is a process that has got an order.
type clients struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startClients runs this program with other arguments and returns when its clients are connected. The caller ends it.
func startClients(ctx context.Context, o order) (*clients, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	c := &clients{cmd: exec.CommandContext(ctx, self, "load", string(text))}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := c.reply(); err != nil {
		c.end()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

// begin lets the round begin.
func (c *clients) begin() error {
	_, err := io.WriteString(c.in, "\n")
	return err
}

// reply waits for the end of what the process does.
func (c *clients) reply() (load, error) {
	var r reply
	if err := c.out.Decode(&r); err != nil {
		return load{}, fmt.Errorf("clients: %w", err)
	}
	if r.Err != "" {
		return load{}, errors.New(r.Err)
	}
	return r.Load, nil
}

// end lets the clients close their connections.
func (c *clients) end() {
	c.in.Close()
	_ = c.cmd.Wait() // what it had to say it has said
}

// loadCommand is the process of the clients.
func loadCommand(ctx context.Context, text string, in io.Reader, out io.Writer) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	replies := json.NewEncoder(out)
	all, err := connect(ctx, &o)
	defer closeAll(all)
	if err := replies.Encode(reply{Err: textOf(err)}); err != nil {
		return err
	}
	lines := bufio.NewReader(in)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil // the end: there is no round
	}
	l, err := o.run(ctx, all)
	if err := replies.Encode(reply{Load: l, Err: textOf(err)}); err != nil {
		return err
	}
	_, _ = lines.ReadString('\n') // the end
	return nil
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// connect makes the clients, one after the other: so many at once would not fit in the queue of a listener. The caller closes
// them, also after an error.
func connect(ctx context.Context, o *order) ([]*client, error) {
	var config *tls.Config
	if o.TLS != "" {
		var err error
		if config, err = clientTLS(o.TLS); err != nil {
			return nil, err
		}
	}
	var all []*client
	for range o.Conns {
		c := newClient(o, config)
		all = append(all, c)
		if err := c.ask(ctx); err != nil {
			return all, err
		}
	}
	for range o.Slow {
		c := newSlowClient(o)
		all = append(all, c)
		if err := c.dial(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

func closeAll(all []*client) {
	for _, c := range all {
		c.close()
	}
}

// run is the round.
func (o *order) run(ctx context.Context, all []*client) (load, error) {
	s := &schedule{began: time.Now(), length: o.Length, tolerant: o.Tolerant}
	if o.Rate > 0 {
		s.interval = time.Duration(float64(time.Second) / o.Rate)
	}
	type end struct {
		took []time.Duration
		err  error
	}
	ends := make(chan end)
	for n, c := range all {
		go func() { // ends with the schedule, or with a slow client's answer
			var e end
			if c.rate == 0 {
				e.took, e.err = s.follow(ctx, c.ask)
			} else {
				e.err = o.askSlowly(ctx, n-o.Conns, c)
			}
			ends <- e
		}()
	}
	var took []time.Duration
	var errs error
	for range all {
		e := <-ends
		took = append(took, e.took...)
		if e.err != nil {
			errs = e.err // one is enough: they are alike
		}
	}
	l := describe(took, time.Since(s.began))
	l.Requests += o.Slow
	l.Failed = int(s.failed.Load())
	return l, errs
}

// askSlowly is the part of the nth slow client. They begin one after the other in the first half of the round, so that in its
// middle, when the proxy's memory is looked at, all are there.
func (o *order) askSlowly(ctx context.Context, n int, c *client) error {
	if err := sleep(ctx, o.Length/2*time.Duration(n)/time.Duration(o.Slow)); err != nil {
		return err
	}
	return c.ask(ctx)
}
