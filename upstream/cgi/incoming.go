package cgi

import (
	"errors"
	"io"

	"spillway/upstream"
)

// incoming is the answer on a connection of a OneShot, and its Response.Body; it is the Conn's State.
//
//  1. begin, readHead: bytes go into Response.Buf until the head is complete
//  2. startBody: what of the body is there already follows them
//  3. Read: the rest goes into the caller's memory; it ends at its declared length, else with the connection
type incoming struct {
	protocol *OneShot
	request  *outgoing // what is not sent yet, nil when all is

	conn *upstream.Conn
	resp *upstream.Response

	head Head
	rest Rest
	done error // what Read returns from now on; nil: go on
}

func (a *incoming) begin(c *upstream.Conn, resp *upstream.Response) {
	a.conn, a.resp = c, resp
	a.head.Reset()
	a.done = nil
}

// release drops what is borrowed.
func (a *incoming) release() {
	a.conn, a.resp = nil, nil
	a.dropRequest()
}

// dropRequest gives the request's memory back, whether all of it was sent or not.
func (a *incoming) dropRequest() {
	if a.request != nil {
		a.protocol.put(a.request)
		a.request = nil
	}
}

// feed sends what is left of the request's body, as long as the peer has nothing to say.
func (a *incoming) feed() error {
	if a.request == nil {
		return nil
	}
	_, over, err := Feed(a.conn, a.request.next)
	if over {
		a.dropRequest()
	}
	return err
}

// readHead reads until the head is complete.
func (a *incoming) readHead() error {
	resp := a.resp
	for have := 0; ; {
		if have == len(resp.Buf) {
			return upstream.TooBigHeader()
		}
		n, err := a.receive(resp.Buf[have:])
		if errors.Is(err, io.EOF) {
			return upstream.ClosedEarly(upstream.ReadingHead)
		}
		if err != nil {
			return err
		}
		have += n
		size, err := a.head.Parse(resp, resp.Buf[:have])
		if err != nil {
			return err
		}
		if size > 0 {
			return a.startBody(size, have)
		}
	}
}

// receive reads once, when the peer has what it will take of the request.
func (a *incoming) receive(p []byte) (int, error) {
	if err := a.feed(); err != nil {
		return 0, err
	}
	return a.conn.Read(p)
}

// startBody hands over what of the body came with the head, and what can be had without waiting: resp.Buf has have bytes,
// the head are the first size of them.
func (a *incoming) startBody(size, have int) error {
	resp := a.resp
	a.conn.Phase = upstream.ReadingBody
	a.rest.Begin(resp)
	end := size + a.rest.Take(resp, have-size)
	var err error
	for err == nil && !a.rest.Whole() && end < len(resp.Buf) && a.conn.Readable() {
		var n int
		n, err = a.conn.Read(resp.Buf[end:])
		end += a.rest.Take(resp, n)
	}
	if err = a.conclude(err); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	resp.Prefix = resp.Buf[size:end]
	if resp.Complete = err != nil; !resp.Complete {
		resp.Body = a
	}
	return nil
}

// Read reads what the peer has sent of the body, waiting when there is nothing. The error is io.EOF, with the last bytes of
// a body of declared length, or an *upstream.Error.
func (a *incoming) Read(p []byte) (int, error) {
	if a.done != nil || len(p) == 0 {
		return 0, a.done
	}
	n, err := a.receive(p)
	n = a.rest.Take(a.resp, n)
	if a.done = a.conclude(err); a.done != nil {
		a.release()
	}
	return n, a.done
}

// conclude returns how the response ended, nil when it has not: err is what ended the reading, if anything did. Where a
// length was declared the end of the connection is a cut.
func (a *incoming) conclude(err error) error {
	switch {
	case a.rest.Whole():
		return io.EOF
	case errors.Is(err, io.EOF) && a.rest.Declared():
		return upstream.ClosedEarly(upstream.ReadingBody)
	default:
		return err
	}
}
