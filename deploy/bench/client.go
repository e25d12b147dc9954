package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"spillway/deploy/internal/network"
)

// A load is what the clients saw in one round.
type load struct {
	Requests             int
	Failed               int // with a tolerant order; they are none of Requests
	Length               time.Duration
	Mean, P50, P99, P999 time.Duration
}

// describe says how long some requests took that were made in a time.
func describe(took []time.Duration, length time.Duration) load {
	slices.Sort(took)
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	return load{
		Requests: len(took), Length: length,
		Mean: sum / time.Duration(max(1, len(took))), P50: percentile(took, 500), P99: percentile(took, 990), P999: percentile(took, 999),
	}
}

// percentile is the least value that so many of a thousand do not exceed. Without values it is 0.
func percentile(sorted []time.Duration, perMille int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(1, (perMille*len(sorted)+999)/1000)-1]
}

// A schedule says when requests are due.
type schedule struct {
	began    time.Time
	length   time.Duration
	interval time.Duration // from one request to the next, over all clients; 0: each client asks as soon as it has its answer
	last     atomic.Int64  // number of requests that have been handed out
	tolerant bool          // a request that fails is counted in failed, and the next one is made
	failed   atomic.Int64
}

// next is when the next request of a client is due, or false when the load is over.
func (s *schedule) next() (time.Time, bool) {
	at := time.Since(s.began)
	if s.interval > 0 {
		at = time.Duration(s.last.Add(1)-1) * s.interval
	}
	return s.began.Add(at), at < s.length
}

// follow makes requests as a schedule says, and returns how long each took since it was due. That it was due while
// the client still waited for another answer, or came too late for another reason, is part of its time.
func (s *schedule) follow(ctx context.Context, ask func(context.Context) error) ([]time.Duration, error) {
	var took []time.Duration
	for {
		due, ok := s.next()
		if !ok {
			return took, nil
		}
		if err := sleep(ctx, time.Until(due)); err != nil {
			return nil, err
		}
		if err := ask(ctx); err != nil {
			if !s.tolerant || ctx.Err() != nil {
				return nil, err
			}
			s.failed.Add(1)
			continue
		}
		took = append(took, time.Since(due))
	}
}

func sleep(ctx context.Context, length time.Duration) error {
	if length <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A client has one connection at most.
type client struct {
	order   *order
	request []byte
	tls     *tls.Config // nil: without TLS
	conn    net.Conn    // nil: there is none
	in      *bufio.Reader
	rate    int // bytes per second that a slow client reads; 0: as it can
}

func newClient(o *order, config *tls.Config) *client {
	method, more := "GET", ""
	if o.Post > 0 {
		method, more = "POST", fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n", o.Post)
	}
	if o.Fresh {
		more += "Connection: close\r\n"
	}
	head := method + " /bench HTTP/1.1\r\nHost: " + hostName + "\r\nUser-Agent: bench\r\nAccept: */*\r\n" + more + "\r\n"
	return &client{
		order:   o,
		request: append([]byte(head), bytes.Repeat([]byte("x"), o.Post)...),
		tls:     config,
		// Large answers are read in larger pieces, as their clients do.
		in: bufio.NewReaderSize(nil, min(max(o.Size, 4<<10), 64<<10)),
	}
}

// newSlowClient reads its answer in half of the round.
func newSlowClient(o *order) *client {
	c := newClient(o, nil)
	c.rate = int(float64(o.Size) / (o.Length / 2).Seconds())
	c.in = bufio.NewReader(nil) // what it has read is not on its slow line any more
	return c
}

// ask makes one request. The answer must be a 200 with a body of the right size.
func (c *client) ask(ctx context.Context) error {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	err := c.exchange(ctx)
	if err != nil || c.order.Fresh {
		c.close()
	}
	return err
}

func (c *client) exchange(ctx context.Context) error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	if err := readHead(c.in, c.order.Size); err != nil {
		return err
	}
	return c.readBody(ctx)
}

func (c *client) dial(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	if c.tls != nil {
		conn = tls.Client(conn, c.tls) // shakes hands when the request is written
	}
	c.conn = conn
	c.in.Reset(conn)
	// A bound for an answer that never comes: then the proxy has failed.
	return conn.SetDeadline(time.Now().Add(c.order.Length + time.Minute))
}

func (c *client) connect(ctx context.Context) (net.Conn, error) {
	if c.rate > 0 {
		return network.Dial(ctx, c.order.Addr, true)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", c.order.Addr)
}

func (c *client) readBody(ctx context.Context) error {
	if c.rate == 0 {
		_, err := c.in.Discard(c.order.Size)
		return err
	}
	body := &io.LimitedReader{R: c.in, N: int64(c.order.Size)}
	if err := network.CopySlowly(io.Discard, body, c.rate, ctx.Done()); err != nil {
		return err
	}
	if body.N > 0 {
		return errors.Join(ctx.Err(), io.ErrUnexpectedEOF)
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// readHead reads the head of an answer, which must be a 200 and say the right length.
func readHead(in *bufio.Reader, size int) error {
	length := -1
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case n == 0 && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("answer begins with %q", line)
		case len(line) == 0:
			if length != size {
				return fmt.Errorf("content length is %d, want %d", length, size)
			}
			return nil
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
}
