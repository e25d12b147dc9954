package fastcgi

import (
	"errors"
	"io"
	"strconv"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// answer is one response on a connection, and its Response.Body; it is the Conn's State.
//
//  1. begin, readHead: raw bytes go into Response.Buf, behind the standard output found so far; what is before it is cut off
//  2. Read: the same into the caller's memory, for what is left of the body
//  3. conclude: what the end of the records, or of the connection, means
type answer struct {
	protocol *Protocol
	request  *request // what is not sent yet, nil when all is
	sent     bool     // the request was sent to its end

	conn *upstream.Conn
	resp *upstream.Response

	records records
	head    cgi.Head
	rest    cgi.Rest // of the body
	done    error    // what Read returns from now on; nil: go on
}

func (a *answer) begin(c *upstream.Conn, resp *upstream.Response) {
	a.conn, a.resp = c, resp
	a.records.reset()
	a.head.Reset()
	a.done = nil
}

// release drops what is borrowed.
func (a *answer) release() {
	a.conn, a.resp = nil, nil
	a.dropRequest()
}

// dropRequest gives the request's memory back, whether all of it was sent or not.
func (a *answer) dropRequest() {
	if a.request != nil {
		a.protocol.put(a.request)
		a.request = nil
	}
}

// feed sends what is left of the request's body, as long as the peer has nothing to say. A peer that has closed may have
// answered before: that is for the next read to find out.
func (a *answer) feed() error {
	if a.request == nil {
		return nil
	}
	sent, over, err := cgi.Feed(a.conn, a.request.next)
	if over {
		a.sent = sent
		a.dropRequest()
	}
	return err
}

// readHead reads until the head is complete.
func (a *answer) readHead() error {
	resp := a.resp
	buf := resp.Buf
	for have := 0; ; {
		if have == len(buf) {
			return upstream.TooBigHeader()
		}
		if err := a.feed(); err != nil {
			return a.lostHead(err)
		}
		n, err := a.conn.Read(buf[have:])
		if err != nil {
			return a.lostHead(err)
		}
		from, n, recordErr := a.records.decode(buf[have:have+n], resp.Stderr)
		if have == 0 {
			buf = buf[from:] // nearly always: nothing is moved
		} else {
			copy(buf[have:], buf[have+from:have+from+n])
		}
		have += n
		size, err := a.head.Parse(resp, buf[:have])
		switch {
		case err != nil:
			return err
		case size > 0:
			return a.startBody(buf, size, have, recordErr)
		case recordErr != nil:
			return recordErr
		case a.records.ended || a.records.stdoutClosed:
			return a.headless(have)
		}
	}
}

// lostHead is the error for a connection that failed before the head was complete.
func (a *answer) lostHead(err error) error {
	a.records.flush(a.resp.Stderr)
	if errors.Is(err, io.EOF) {
		return upstream.ClosedEarly(upstream.ReadingHead)
	}
	return err
}

// headless is the error for a request that ended without a complete head. One that the application refused (section 5.5)
// was not begun, so another peer may serve it.
func (a *answer) headless(have int) error {
	a.records.flush(a.resp.Stderr)
	if !a.records.ended {
		return upstream.NewError(upstream.ReadingHead, upstream.Invalid, "upstream prematurely closed FastCGI stdout")
	}
	failed := upstream.NewError(upstream.ReadingHead, upstream.Invalid,
		"upstream sent unexpected FastCGI record: "+strconv.Itoa(typeEndRequest))
	if status := a.records.protocolStatus(); status != 0 {
		failed.Err = errors.New(refusal(status))
		if have == 0 {
			failed.Kind = upstream.Failed
		}
	} else if status := a.records.applicationStatus(); status != 0 {
		failed.Err = errors.New("application status " + strconv.FormatUint(uint64(status), 10))
	} else if a.records.stdoutClosed {
		failed.Text = "upstream prematurely closed FastCGI stdout"
	}
	return failed
}

// startBody hands over what of the body came with the head, and what can be had without waiting: buf has have bytes of standard
// output, the head are the first size of them. err is what was wrong with the records so far.
func (a *answer) startBody(buf []byte, size, have int, err error) error {
	resp := a.resp
	a.conn.Phase = upstream.ReadingBody
	a.rest.Begin(resp)
	for err == nil && !a.records.ended && have < len(buf) && a.conn.Readable() {
		var n int
		n, err = a.receive(buf[have:])
		have += n
	}
	resp.Prefix = buf[size : size+a.rest.Take(resp, have-size)]
	if resp.Head && err == nil && !a.records.ended {
		err = io.EOF // nothing more is for the client; an application that sends a body even so may never end
	}
	if err == nil && !a.records.ended {
		resp.Body = a
		return nil
	}
	if err := a.conclude(err); !errors.Is(err, io.EOF) {
		return err
	}
	resp.Complete = true
	return nil
}

// receive reads once and returns how much standard output is in p.
func (a *answer) receive(p []byte) (int, error) {
	n, err := a.conn.Read(p)
	if err != nil {
		return 0, err
	}
	from, n, err := a.records.decode(p[:n], a.resp.Stderr)
	return copy(p, p[from:from+n]), err
}

// Read reads what the peer has sent of the body, waiting when there is nothing. The error is io.EOF or an *upstream.Error.
func (a *answer) Read(p []byte) (int, error) {
	if a.done != nil || len(p) == 0 {
		return 0, a.done
	}
	for {
		n, err := 0, a.feed()
		if err == nil {
			n, err = a.receive(p)
		}
		n = a.rest.Take(a.resp, n)
		if err != nil || a.records.ended {
			a.done = a.conclude(err)
			a.release()
		}
		if n > 0 || a.done != nil {
			return n, a.done
		}
	}
}

// conclude returns how the response ended: io.EOF when it is complete. err is what ended the reading, nil for END_REQUEST.
// When all declared bytes have come, the client has the whole of the response: then a missing END_REQUEST or a broken
// connection costs the connection only.
func (a *answer) conclude(err error) error {
	a.records.flush(a.resp.Stderr)
	served := err == nil && a.records.protocolStatus() == 0
	switch {
	case a.rest.Whole() || !a.rest.Declared() && served:
		a.resp.Reusable = served && a.protocol.keepConn && a.sent && !a.records.extra && !a.resp.Excess
		return io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		if own, ok := errors.AsType[*upstream.Error](err); ok && own.Phase == upstream.ReadingHead {
			own.Phase = upstream.ReadingBody // that of a bad record
		}
		return err
	case (err == nil) == a.records.stdoutClosed: // too little output before its own end, or the connection ended in it
		return upstream.NewError(upstream.ReadingBody, upstream.Failed, "upstream prematurely closed FastCGI stdout")
	default:
		return upstream.NewError(upstream.ReadingBody, upstream.Failed, "upstream prematurely closed FastCGI request")
	}
}
