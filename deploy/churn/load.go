package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"spillway/deploy/internal/loss"
)

// A target is what a client asks.
type target struct{ addr, host string }

// A load is a number of clients in a closed loop.
type load struct {
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu     sync.Mutex // guards all below
	report report
}

// answerTime bounds the wait for one answer: longer than spillway holds a request for a process.
const answerTime = time.Minute

// startLoad starts the clients; every other one keeps its connection. Without a pause the others use up the ports of the
// machine.
func startLoad(ctx context.Context, targets []target, conns int, pause time.Duration) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop, report: report{failures: map[string]int{}}}
	for i := range conns {
		c := &client{target: targets[i/2%len(targets)], keep: i%2 == 0, load: l}
		l.clients.Go(func() { // ends with ctx, after the answer that it waits for
			defer c.close()
			for ctx.Err() == nil {
				c.ask()
				<-time.After(pause)
			}
		})
	}
	return l
}

// end stops the clients and returns what they saw.
func (l *load) end() *report {
	l.stop()
	l.clients.Wait()
	return &l.report
}

// client makes one request after the other. It repeats none.
type client struct {
	target target
	keep   bool
	load   *load

	conn net.Conn // nil: there is none
	in   *bufio.Reader
}

// ask makes one request, and notes how it ended.
func (c *client) ask() {
	began := time.Now()
	sent, err := c.exchange()
	took := time.Since(began)
	if err != nil || !c.keep {
		c.close()
	}
	r := &c.load.report
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	if sent {
		r.requests++
	}
	if err != nil {
		r.failures[loss.KindOf(err)]++
		return
	}
	r.took = append(r.took, took)
}

// exchange sends a request and reads its answer; sent says that the request has left.
func (c *client) exchange() (sent bool, err error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.target.addr, answerTime) //nolint:noctx // bounded, and nobody ends it before
		if err != nil {
			return false, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return false, err
	}
	how := "close"
	if c.keep {
		how = "keep-alive"
	}
	if _, err := fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n", c.target.host, how); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return true, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return true, err
	}
	if response.StatusCode != http.StatusOK {
		return true, loss.StatusError(response.StatusCode)
	}
	if response.Close {
		c.close()
	}
	return true, nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // what it had is read
		c.conn = nil
	}
}
