package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"spillway/deploy/internal/network"
)

// A client reads one response.
type client struct {
	conn  net.Conn
	rate  int           // bytes per second; 0 is as fast as it can
	hurry chan struct{} // closed when a slow client has been slow for long enough
}

func dial(ctx context.Context, addr string, rate int, hurry chan struct{}) (*client, error) {
	conn, err := network.Dial(ctx, addr, rate > 0)
	if err != nil {
		return nil, err
	}
	// A bound for a response that never comes: then the proxy has failed.
	deadline, _ := ctx.Deadline()
	return &client{conn: conn, rate: rate, hurry: hurry}, conn.SetDeadline(deadline)
}

// dialAll opens a number of connections. The caller closes them, also after an error.
func dialAll(ctx context.Context, addr string, count, rate int, hurry chan struct{}) ([]*client, error) {
	var clients []*client
	for range count {
		c, err := dial(ctx, addr, rate, hurry)
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		c.conn.Close()
	}
}

// get asks for a response, compares it with the body that its head names, and returns that body's number.
func (c *client) get(b *bodies) (int, error) {
	if _, err := io.WriteString(c.conn, "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := strconv.Atoi(resp.Header.Get(numberField))
	if err != nil || n < 0 || n >= b.count || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d, body %q", resp.StatusCode, resp.Header.Get(numberField))
	}
	want := &comparison{b.body(n)}
	if c.rate > 0 {
		if err := network.CopySlowly(want, resp.Body, c.rate, c.hurry); err != nil {
			return n, err
		}
	}
	buffer := make([]byte, 64<<10)
	// Hidden are the shortcuts of both, with buffers of other sizes.
	if _, err := io.CopyBuffer(struct{ io.Writer }{want}, struct{ io.Reader }{resp.Body}, buffer); err != nil {
		return n, err
	}
	return n, want.end()
}
