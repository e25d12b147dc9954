package relay

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"spillway/buffering"
	"spillway/proxy"
	"spillway/upstream"
)

// A peer that answers 101 makes a tunnel of the exchange (RFC 9110, section 7.8); the slot is held for all of its life:
//
//  1. WriteTo is called as for any response. tunnel sends the head, starts upload on a goroutine of its own, and downloads;
//  2. download passes on what the peer sends, upload what the client sends, as it comes, through one buffer each;
//  3. a side that has ended its sending is told to the other one; the other direction goes on, see halfClosed;
//  4. an error, or silence in both directions for upgrade_timeout, ends both;
//  5. endTunnel says in the log what went wrong, and releases the peer's connection; the front closes the client's.

// halfClosed is how long a client may be silent after its peer has ended: one that has nothing left to say closes at once, and
// a process is not held by one that is gone. It is nginx's lingering_timeout.
const halfClosed = 5 * time.Second

// clientEnd is what the front gives WriteTo for a response with status 101.
type clientEnd = interface {
	io.ReadWriter  // one goroutine may read while another writes
	Switch() error // sends the head; the first call
	CloseWrite()   // tells the client that nothing more comes
	Interrupt()    // ends Read, from any goroutine
}

var errNoTunnel = errors.New("a response with status 101 needs a connection that can be read")

// tunnel is a tunnel while it lasts.
type tunnel struct {
	r      *run
	client clientEnd
	began  time.Time
	moved  atomic.Int64 // when something was last passed on, in nanoseconds since began
	sent   int64        // to the client; of download

	mu     sync.Mutex // guards all below; held while the ends are told to end, so that they are not later than over
	timer  *time.Timer
	idle   time.Duration // how long nothing may move
	ending bool          // both ends were told to end
	over   bool          // the ends are not the tunnel's any more
	err    error         // why it has ended early; nil if it has not
}

// tunnel is WriteTo for a response that has switched protocols.
func (r *run) tunnel(w io.Writer) (int64, error) {
	client, ok := w.(clientEnd)
	if !ok {
		return 0, errNoTunnel
	}
	r.conn.Upgrade()
	r.flight.Land() // for who chooses by time: a tunnel says nothing about how fast its peer answers
	if err := client.Switch(); err != nil {
		return 0, err
	}
	t := &tunnel{r: r, client: client, began: time.Now(), idle: r.h.opts.UpgradeTimeout}
	t.start()
	uploaded := make(chan struct{})
	r.ex.Task.Go(func() { // ends with the client, or when something else ends the tunnel
		defer close(uploaded)
		t.run(t.upload)
	})
	t.run(t.download)
	<-uploaded
	t.stop()
	return t.sent, r.endTunnel(t)
}

// run runs one direction; its failure ends the other one.
func (t *tunnel) run(direction func() error) {
	if err := t.r.ex.Protect(upstream.Upgraded.String(), direction); err != nil {
		t.fail(err)
	}
}

// download passes on what came with the peer's head, and then what comes.
func (t *tunnel) download() error {
	r := t.r
	n, err := t.client.Write(r.resp.Prefix)
	t.sent = int64(n)
	if err != nil {
		return err
	}
	if err := t.pass(t.client, r.conn, r.buffer, &t.sent); err != nil {
		return err
	}
	t.client.CloseWrite()
	t.shorten()
	return nil
}

// upload passes on what the client sends.
func (t *tunnel) upload() error {
	arena, sent := t.r.h.opts.Arena, int64(0)
	buffer := arena.Get(t.r.h.opts.Limits.BufferSize)
	defer arena.Put(buffer)
	if err := t.pass(t.r.conn, t.client, buffer, &sent); err != nil {
		return err
	}
	t.r.conn.CloseWrite()
	return nil
}

// pass passes one direction on until its end, which is no error.
func (t *tunnel) pass(to io.Writer, from io.Reader, buffer *buffering.Buffer, sent *int64) error {
	for {
		n, err := from.Read(buffer.B)
		if n > 0 {
			t.moved.Store(int64(time.Since(t.began)))
			n, failure := to.Write(buffer.B[:n])
			*sent += int64(n)
			if failure != nil {
				return failure
			}
		}
		t.moved.Store(int64(time.Since(t.began)))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tunnel) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(t.idle, t.fire)
}

// fire ends a tunnel in which nothing has moved for too long.
func (t *tunnel) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	still := time.Since(t.began) - time.Duration(t.moved.Load())
	switch {
	case t.over || t.ending:
	case still < t.idle:
		t.timer.Reset(t.idle - still)
	default:
		t.end(upstream.Silence())
	}
}

// shorten is for a tunnel whose peer has ended.
func (t *tunnel) shorten() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = min(t.idle, halfClosed)
	t.timer.Reset(t.idle)
}

// fail ends the tunnel because of err.
func (t *tunnel) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ending {
		t.end(err)
	}
}

// end tells both ends to end; what they say to that is no news. The caller holds the lock.
func (t *tunnel) end(err error) {
	t.ending, t.err = true, err
	t.r.conn.Cancel()
	t.client.Interrupt()
}

// stop lets go of the ends.
func (t *tunnel) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.timer.Stop()
}

// endTunnel releases the connection and returns why the client's is to be reset: nil where it is closed in order, because both
// sides have ended, nothing moved, or the listener is given up.
func (r *run) endTunnel(t *tunnel) error {
	record := r.lastAttempt()
	record.Response, record.Received, record.ReceivedBody = time.Since(r.hint.Now), r.conn.Received(), t.sent
	err := t.err
	failure, isPeer := errors.AsType[*upstream.Error](err)
	switch {
	case err == nil, errors.Is(err, proxy.ErrPanicked):
	case errors.Is(err, proxy.ErrGivenUp):
		err = nil
	case isPeer && failure.Kind == upstream.TimedOut: // it is the end of many a tunnel, and no incident
		r.logFailed(failure)
		err = nil
	case isPeer:
		r.failed(failure)
		r.logFailed(failure)
	default:
		r.logClientGone(upstream.Upgraded)
	}
	r.bodyErr = err
	r.release(upstream.Spent)
	return err
}
