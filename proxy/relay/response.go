package relay

import (
	"errors"
	"io"
	"time"

	"spillway/buffering"
	"spillway/proxy"
	"spillway/upstream"
)

// A run whose response head is there becomes the content of the exchange:
//
//  1. respond: a body that came with its head is complete, and the connection is free already;
//  2. WriteTo carries the rest as long as the client keeps up: it reads the peer and writes to the client in turn, in large pieces
//     and on one goroutine. The peer waits for nobody: a write that does not wait is over when the bytes are in the socket;
//  3. the first write that would wait for the client starts pump before it does. From then on pump fills the pipe at the peer's
//     speed, and gives the connection back with the peer's last byte, while WriteTo delivers at the client's speed;
//  4. Close ends the pump if the client was lost, and gives everything back.
//
// With ignore_client_abort WriteTo goes on without the client, so that the peer is read to its end.
//
// With buffering off there is no pipe and no pump: WriteTo carries all of the body, however long the client makes it wait.

// respond makes r the content of the exchange.
func (r *run) respond() {
	ex := r.ex
	r.bindClient()
	ex.Content, ex.Length = r, r.resp.Length
	r.lastAttempt().ReceivedBody = int64(len(r.resp.Prefix))
	r.pauseBusy()
	if r.unbuffer {
		ex.LimitRate = 0 // as in nginx: the client would hold the peer
	}
	switch {
	case r.resp.Complete:
		if !ex.Head() && ex.Length < 0 && len(ex.Trailer) == 0 {
			ex.Length = int64(len(r.resp.Prefix))
		}
		r.endResponseAfter(r.took, nil)
	case r.resp.Switched: // see tunnel.go
		ex.Task.Leave()
	case r.unbuffer:
		r.conn.Phase = upstream.ReadingBody
	default:
		r.conn.Phase = upstream.ReadingBody
	}
}

// startPump lets another goroutine read the peer from now on, if there is anything left to read.
func (r *run) startPump() {
	if r.pipe != nil || r.conn == nil { // in this order: with a pipe, the connection is the pump's
		return
	}
	r.ex.Task.Leave()
	opts := &r.h.opts
	r.pipe = buffering.NewPipe(buffering.PipeOptions{
		Arena: opts.Arena, Dir: opts.Spill, Limits: opts.Limits, OnSpill: r.onSpill, OnSpillError: r.onSpillError,
	})
	r.ex.Task.Go(r.pump) // ends with the peer's response, or when Close cancels it; Close waits for it
}

// pump fills the pipe from the peer.
func (r *run) pump() {
	err := r.ex.Protect("reading upstream", r.fill)
	if err != nil && r.conn != nil {
		r.endResponse(err)
	}
	if errors.Is(err, proxy.ErrPanicked) {
		r.pipe.CloseWrite(err) // the client gets what there is, and learns that it is not all
	}
	r.pumped <- struct{}{}
}

func (r *run) fill() error { return r.pipe.Fill((*peerBody)(r)) }

// peerBody reads the rest of the response from the peer, and gives the connection back as soon as it has ended.
type peerBody run

// Read reads what the peer has sent.
func (b *peerBody) Read(p []byte) (int, error) {
	r := (*run)(b)
	r.resumeBusy()
	n, err := r.resp.Body.Read(p)
	r.pauseBusy()
	r.lastAttempt().ReceivedBody += int64(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			r.endResponse(nil)
		} else {
			r.endResponse(err)
		}
	}
	return n, err
}

// endResponse notes how the peer's response ended just now, and releases the connection.
func (r *run) endResponse(err error) { r.endResponseAfter(time.Since(r.hint.Now), err) }

// endResponseAfter is endResponse for an end that came so long after the beginning of the attempt.
func (r *run) endResponseAfter(took time.Duration, err error) {
	record := r.lastAttempt()
	record.Response = took
	record.Received = r.conn.Received()
	fate := upstream.Spent
	if err == nil && r.resp.Reusable && r.sendErr == nil {
		fate = upstream.Reusable
	}
	r.bodyErr = err
	r.endBusy()
	switch {
	case err != nil && r.stuck: // that was told
		r.failed(asUpstream(err))
	case err != nil:
		r.logCut(err)
	case r.resp.Excess:
		r.logExcess()
	}
	if err == nil {
		r.peer.NoteResponse(r.visits[len(r.visits)-1].run, took)
		r.noteServed(took)
	}
	r.release(fate)
}

// WriteTo sends the body to the client.
func (r *run) WriteTo(w io.Writer) (int64, error) {
	if r.resp.Switched {
		return r.tunnel(w)
	}
	if !r.h.opts.Finish {
		return r.writeTo(w)
	}
	client := &mayLeave{Writer: w}
	_, err := r.writeTo(client)
	if client.err != nil {
		err = client.err
	}
	return client.sent, err
}

// mayLeave is a client of ignore_client_abort: what it does not take any more is dropped.
type mayLeave struct {
	io.Writer

	sent int64
	err  error
}

// Write never fails.
func (c *mayLeave) Write(p []byte) (int, error) {
	if c.err == nil {
		n, err := c.Writer.Write(p)
		c.sent, c.err = c.sent+int64(n), err
	}
	return len(p), nil
}

// Flush sends the head, if the client can be made to take it apart from the body.
func (c *mayLeave) Flush() error {
	if c.err == nil {
		c.err = flush(c.Writer)
	}
	return nil
}

// OnWait is that of the client; if it has none, every write may wait.
func (c *mayLeave) OnWait(f func()) { onWait(c.Writer, f) }

func flush(w io.Writer) error {
	if out, ok := w.(interface{ Flush() error }); ok {
		return out.Flush()
	}
	return nil
}

func (r *run) writeTo(w io.Writer) (int64, error) {
	if !r.unbuffer && r.conn != nil {
		onWait(w, r.onWait)
	}
	ahead, sent := r.resp.Prefix, int64(0)
	if r.pipe == nil && r.conn != nil {
		n, err := r.carry(w, ahead)
		sent += n
		if err != nil {
			return sent, err
		}
	} else {
		n, err := w.Write(ahead)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
	}
	if r.pipe != nil {
		n, err := r.pipe.WriteTo(w)
		return sent + n, err
	}
	return sent, r.bodyErr
}

// onWait has f called when w makes its writer wait; at once if w does not say when.
func onWait(w io.Writer, f func()) {
	if client, ok := w.(interface{ OnWait(f func()) }); ok {
		client.OnWait(f)
	} else {
		f()
	}
}

// carry reads the peer and writes to the client in turn, until the end of the body or until the pump has been started. What is
// ahead goes first: in one write with what the peer has sent since, if that is there and worth a large piece.
func (r *run) carry(w io.Writer, ahead []byte) (int64, error) {
	if r.unbuffer && len(ahead) == 0 { // the head is not to wait for the body
		if err := flush(w); err != nil {
			return 0, err
		}
	}
	piece := r.takePiece() // the protocol may still need the buffer with the head
	defer piece.free()
	sent := int64(0)
	if len(ahead) > 0 && (2*len(ahead) > len(piece.B) || !r.resp.Plain || !r.conn.Readable()) {
		n, err := w.Write(ahead)
		sent, ahead = int64(n), nil
		if err != nil {
			return sent, err
		}
	}
	for r.pipe == nil {
		held := copy(piece.B, ahead)
		ahead = nil
		n, err := (*peerBody)(r).Read(piece.B[held:])
		if held+n > 0 {
			m, writeErr := w.Write(piece.B[:held+n])
			sent += int64(m)
			if writeErr != nil {
				return sent, writeErr
			}
		}
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
		piece.fit(int64(n))
		r.ex.Task.Yield()
	}
	return sent, nil
}

// Read reads the body for whoever stands between the relay and the client.
func (r *run) Read(p []byte) (int, error) {
	if len(r.resp.Prefix) > 0 {
		n := copy(p, r.resp.Prefix)
		r.resp.Prefix = r.resp.Prefix[n:]
		return n, nil
	}
	if !r.unbuffer {
		r.startPump()
	}
	switch {
	case r.pipe != nil:
		return r.pipe.Read(p)
	case r.conn != nil:
		return (*peerBody)(r).Read(p)
	case r.bodyErr != nil:
		return 0, r.bodyErr
	default:
		return 0, io.EOF
	}
}

// Close ends the exchange on this side; err is why the client did not get everything. It returns why the peer's response
// was cut, if it was.
func (r *run) Close(err error) error {
	switch {
	case r.pipe != nil:
		r.closePipe(err)
	case r.conn != nil && err == nil:
		err = r.ex.Protect("reading upstream", r.discard)
	}
	if r.conn != nil { // nobody was reading the peer when the client went, or the reading has panicked
		r.endResponse(err)
	}
	cut := r.bodyErr
	r.end()
	return cut
}

// closePipe ends the pump. Without an error nothing is left for the client: either it has all of the body, or there is
// none for it, as after HEAD, and the peer still has to end its response.
func (r *run) closePipe(err error) {
	if err == nil {
		_, _ = r.pipe.WriteTo(io.Discard)
	} else {
		r.pipe.Abort(err)
		r.ex.MarkGone()
	}
	<-r.pumped
	r.ex.Spilled = r.pipe.Spilled()
}

// discard reads a response that nobody gets, as after HEAD, to its end.
func (r *run) discard() error {
	_, err := r.carry(io.Discard, nil)
	return err
}
