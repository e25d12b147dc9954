package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A load is a number of clients, each of which makes one request after the other.
type load struct {
	stop    context.CancelFunc
	clients sync.WaitGroup
}

// startLoad starts the clients; every other one keeps its connection.
func startLoad(ctx context.Context, addr string, services []*service, j *journal, p plan) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop}
	for i := range p.conns {
		c := newClient(addr, services, j, p.seed, i)
		l.clients.Go(func() { // ends with ctx, after the answer that it waits for
			defer c.close()
			for ctx.Err() == nil {
				c.act()
				pause(p.pause)
			}
		})
	}
	return l
}

// end stops the clients and waits for their last answers.
func (l *load) end() {
	l.stop()
	l.clients.Wait()
}

// client repeats no request. What it does next is a matter of its random numbers.
type client struct {
	addr     string
	services []*service
	journal  *journal
	random   *rand.Rand
	keep     bool
	next     uint64 // number of an order; no two clients have the same

	link *link // nil: there is none
}

func newClient(addr string, services []*service, j *journal, seed uint64, number int) *client {
	return &client{
		addr: addr, services: services, journal: j, random: rand.New(rand.NewPCG(seed, uint64(number))),
		keep: number%2 == 0, next: uint64(number+1) << 32,
	}
}

// act makes the next request, or two.
func (c *client) act() {
	service := c.services[c.random.IntN(len(c.services))]
	a := c.ask(service)
	switch n := c.random.IntN(100); {
	case n < 8:
		c.pair(a, c.ask(service))
	case n < 11 && !service.narrow:
		a.method, a.status = http.MethodGet, http.StatusOK
		a.size, a.rate, a.declared = a.service.largest, 1<<20+c.random.IntN(3<<20), true
		c.single("slow reader", a, -1)
	case n < 17:
		a.method, a.body = http.MethodPost, 100+c.random.IntN(200<<10)
		c.abortRequest(a)
	case n < 23:
		a.method, a.status, a.declared = http.MethodGet, http.StatusOK, true
		a.size = a.service.largest
		c.single("abort in the answer", a, c.random.IntN(a.size/2))
	case n < 29:
		a.wait = 20 * time.Millisecond
		c.abortWait(a)
	case n < 33 && service.echoes:
		a.method = http.MethodGet
		c.tunnel(a)
	default:
		c.single("exchange", a, -1)
	}
}

// ask draws a request.
func (c *client) ask(s *service) *ask {
	r := c.random
	c.next++
	a := &ask{service: s, order: order{id: c.next, pieces: 1, declared: r.IntN(2) == 0}}
	a.method = []string{http.MethodGet, http.MethodGet, http.MethodGet, http.MethodPost, http.MethodHead}[r.IntN(5)]
	a.status = []int{200, 200, 200, 200, 201, 204, 404, 500}[r.IntN(8)]
	a.size = min(c.size(), s.largest)
	if a.method == http.MethodPost {
		a.body, a.chunked = c.size(), r.IntN(3) == 0
	}
	if r.IntN(4) == 0 {
		a.wait = time.Duration(1+r.IntN(200)) * time.Millisecond
	}
	switch {
	case s.ends == declared:
		a.declared = true
	case s.ends == byClose && !a.declared:
		a.size = min(a.size, wholeAnswer/2)
	case r.IntN(3) == 0: // at its process for some time, with a part of the answer at the client
		a.size = max(a.size, 1000)
		a.pieces, a.wait = 2+r.IntN(7), time.Duration(1+r.IntN(100))*time.Millisecond
	}
	return a
}

// size draws the length of a body: mostly a page, sometimes nothing, sometimes a download.
func (c *client) size() int {
	r := c.random
	switch n := r.IntN(20); {
	case n < 2:
		return 0
	case n < 5:
		return 1 + r.IntN(100)
	case n < 14:
		return r.IntN(20 << 10)
	case n < 19:
		return r.IntN(200 << 10)
	default:
		return r.IntN(2 << 20)
	}
}

// single makes a request and reads its answer, as far as limit if that is not negative.
func (c *client) single(what string, a *ask, limit int) {
	alone := limit >= 0 || a.rate > 0 // no connection for others
	c.with(alone, what, a, func(l *link, r *result) error {
		if err := c.write(l, a, alone); err != nil {
			return err
		}
		return l.receive(a, limit, r)
	})
}

// write sends a whole request; last says that no other one will follow.
func (c *client) write(l *link, a *ask, last bool) error {
	if last {
		l.head(a, closeField)
	} else {
		l.head(a, c.closing())
	}
	if err := l.out.Flush(); err != nil {
		return err
	}
	c.journal.sent()
	if err := l.send(a, a.body); err != nil {
		return err
	}
	return l.out.Flush()
}

const closeField = "Connection: close\r\n"

// closing is the field of a client's request that is the last one of its connection.
func (c *client) closing() string {
	if c.keep {
		return ""
	}
	return closeField
}

// pair sends two requests at once. The second one is lost by right if the first answer announces the end of the connection.
func (c *client) pair(first, second *ask) {
	for _, a := range []*ask{first, second} {
		if a.method == http.MethodPost {
			a.method, a.body = http.MethodGet, 0 // of requests that change something a client awaits the answer
		}
	}
	over := false
	c.with(false, "pipelined", first, func(l *link, r *result) error {
		l.head(first, "")
		l.head(second, c.closing())
		if err := l.out.Flush(); err != nil {
			return err
		}
		c.journal.sent()
		err := l.receive(first, -1, r)
		over = err != nil || l.last
		return err
	})
	if over || c.link == nil {
		return
	}
	c.journal.sent()
	c.with(false, "pipelined", second, func(l *link, r *result) error { return l.receive(second, -1, r) })
}

// abortRequest leaves in the middle of a request's body.
func (c *client) abortRequest(a *ask) {
	c.with(true, "abort in the request", a, func(l *link, r *result) error {
		l.head(a, "")
		if err := l.send(a, a.body/2); err != nil {
			return err
		}
		if err := l.out.Flush(); err != nil {
			return err
		}
		c.journal.sent()
		r.pid = -1 // nobody's answer is missed
		return nil
	})
}

// abortWait leaves while the request waits, in the queue or at its process.
func (c *client) abortWait(a *ask) {
	c.with(true, "abort while waiting", a, func(l *link, r *result) error {
		if err := c.write(l, a, true); err != nil {
			return err
		}
		pause(time.Duration(c.random.IntN(15)) * time.Millisecond)
		r.pid = -1
		return nil
	})
}

// tunnel speaks another protocol over an upgraded connection, whose other end sends everything back.
func (c *client) tunnel(a *ask) {
	c.with(true, "upgrade", a, func(l *link, r *result) error {
		a.status = http.StatusSwitchingProtocols
		l.head(a, "Connection: Upgrade\r\nUpgrade: "+echoProtocol+"\r\n")
		if err := l.out.Flush(); err != nil {
			return err
		}
		c.journal.sent()
		if err := l.receive(a, 0, r); err != nil || r.pid == 0 {
			return err
		}
		sent, want := bodyOf(a.id), &comparison{want: bodyOf(a.id), left: 1 << 30}
		for range 1 + c.random.IntN(20) {
			n := int64(1 + c.random.IntN(20_000))
			if _, err := io.CopyN(l.Conn, sent, n); err != nil {
				return err
			}
			if _, err := io.CopyN(want, l.in, n); errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF // more was to come, and nothing else says that a tunnel is over
			} else if err != nil {
				return err
			}
			pause(time.Duration(c.random.IntN(20)) * time.Millisecond)
		}
		return nil
	})
}

// with does something over a connection, which is the kept one unless the deed wants its own, and notes how that ended.
func (c *client) with(alone bool, what string, a *ask, do func(*link, *result) error) {
	r := &result{service: a.service.name, method: a.method, began: time.Now()}
	if alone {
		kept := c.link
		c.link = nil
		r.err = c.over(a, r, do)
		c.close()
		c.link = kept
	} else if r.err = c.over(a, r, do); r.err != nil || c.link.last {
		c.close()
	}
	r.ended = time.Now()
	c.journal.note(what, a.target(), r)
}

// over does something over the present connection, or a new one.
func (c *client) over(a *ask, r *result, do func(*link, *result) error) error {
	if c.link == nil {
		var err error
		if c.link, err = dial(c.addr, a.rate > 0); err != nil {
			return err
		}
	}
	if err := c.link.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	return do(c.link, r)
}

func (c *client) close() {
	if c.link != nil {
		_ = c.link.Close() // what it had is read, or not wanted
		c.link = nil
	}
}
