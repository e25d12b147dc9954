package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// sizes are lengths of bodies around the buffers: the first has 4096 bytes, the pipe 8 more of the same.
var sizes = []int{
	0, 1, 2, 1000, 3900, 4000, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 32767, 32768, 32769,
	9*bufferSize - 1, 9 * bufferSize, 9*bufferSize + 1, 65535, 65536, 65537, 150000, 300 << 10,
}

func TestHandler_ResponsesOfAllSizes(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				for _, undeclared := range []bool{false, true} {
					peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
						size := 0
						_, _ = fmt.Sscanf(r.Target, "/%d", &size)
						return upstreamtest.Answer{Body: pattern(size, size), Undeclared: undeclared}
					})
					r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
					c := r.connect()
					for _, size := range sizes {
						c.send(request("GET", fmt.Sprintf("/%d", size), "")).response("GET").want(t, 200, pattern(size, size))
						rec := r.next()
						if rec.Truncated || rec.Attempts[0].ReceivedBody != int64(size) || rec.Attempts[0].Received < int64(size) {
							t.Errorf("%d bytes: got %+v", size, rec)
						}
						c.send(request("HEAD", fmt.Sprintf("/%d", size), "")).response("HEAD").want(t, 200, nil)
						if rec := r.next(); rec.Truncated {
							t.Errorf("HEAD: got %+v", rec)
						}
					}
					// A HEAD may cost its connection: over HTTP after the length of a body, over FastCGI before END_REQUEST.
					want := 1 + len(sizes)
					if got := peer.Conns(); got > want && !wire.OneShot() {
						t.Errorf("got %d connections to the peer, want %d at most", got, want)
					}
					r.wantNoLog("client gone")
				}
			}
		})
	}
}

// TestHandler_FreesPeerFromSlowClient: the peer is done while the client has read nothing yet.
func TestHandler_FreesPeerFromSlowClient(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			body := pattern(1, 24<<20) // more than the sockets take
			peer := serve(t, wire, answer(upstreamtest.Answer{Body: body}))
			r := start(t, setup{wire: wire, peers: at(peer.Addr())})
			c := r.connect()
			c.send(request("GET", "/", ""))
			until(t, "the peer is free", func() bool { return len(peer.Requests()) == 1 && r.idlePeers() })
			select {
			case rec := <-r.ended:
				t.Fatalf("the client has not read, and the exchange is over: %+v", rec)
			default:
			}
			c.response("GET").want(t, 200, body)
			rec := r.next()
			if rec.Spilled == 0 || rec.Truncated {
				t.Errorf("got %d bytes spilled, truncated %v", rec.Spilled, rec.Truncated)
			}
			r.wantLog("response spilled", "level=WARN", "file=")
		})
	}
}

// TestHandler_ClientLeavesWhatIsInTheFile: after a part of it.
func TestHandler_ClientLeavesWhatIsInTheFile(t *testing.T) {
	body := pattern(1, 24<<20)
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: body}))
	r := start(t, setup{peers: at(peer.Addr())})
	c := r.connect().send(request("GET", "/", ""))
	until(t, "the peer is free", func() bool { return len(peer.Requests()) == 1 && r.idlePeers() })
	got := make([]byte, 12<<20)
	if _, err := io.ReadFull(c.head("GET").Body, got); err != nil || !bytes.Equal(got, body[:len(got)]) {
		t.Errorf("got other bytes, or %v", err)
	}
	c.Close()
	if rec := r.next(); rec.Spilled == 0 || !rec.Truncated || rec.Attempts[0].ReceivedBody != int64(len(body)) {
		t.Errorf("got %+v", rec)
	}
}

// TestHandler_HoldsLittleForAPeerThatPauses: besides the buffer with the head, one of the pipe's; and no more where memory is short.
func TestHandler_HoldsLittleForAPeerThatPauses(t *testing.T) {
	f := func(size int, budget int64) {
		t.Helper()
		gate, body := make(chan struct{}), pattern(1, size)
		peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: body, Undeclared: true, Gate: gate}))
		r := start(t, setup{peers: at(peer.Addr())})
		r.arena.SetBudget(budget)
		resp := r.connect().send(request("GET", "/", "")).head("GET")
		half := make([]byte, size/2)
		if _, err := io.ReadFull(resp.Body, half); err != nil {
			t.Fatal(err)
		}
		if got := r.arena.InUse(); got > 2*bufferSize {
			t.Errorf("%d bytes: got %d bytes of memory, want %d at most", size, got, 2*bufferSize)
		}
		close(gate)
		if rest, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(slices.Concat(half, rest), body) {
			t.Errorf("%d bytes: got %d and %v", size, len(half)+len(rest), err)
		}
	}
	f(2, 0)
	f(200000, 1)
}

// TestHandler_HoldsNothingForAPeerThatThinks: where that can be, the buffer is taken when the answer is there.
func TestHandler_HoldsNothingForAPeerThatThinks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a read needs its memory before it waits")
	}
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			peer := serve(t, wire, answer(upstreamtest.Answer{Fault: upstreamtest.Silent}))
			r := start(t, setup{wire: wire, peers: at(peer.Addr())})
			c := r.connect().send(request("GET", "/", ""))
			until(t, "the peer has the request", func() bool { return len(peer.Requests()) == 1 })
			if got := r.arena.InUse(); got != 0 {
				t.Errorf("got %d bytes of memory, want none", got)
			}
			_ = c.Close()
			r.next()
		})
	}
}

func TestHandler_LosesNothingWhenSpillFails(t *testing.T) {
	body := pattern(1, 16<<20)
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: body}))
	r := start(t, setup{peers: at(peer.Addr()), disk: 1})
	c := r.connect()
	c.send(request("GET", "/", ""))
	until(t, "the spill fails", func() bool { return strings.Contains(r.log.String(), "spill failed") })
	c.response("GET").want(t, 200, body)
	r.wantLog("spill failed", "level=ERROR+4", "err=")
}

// TestHandler_Streams: the client has the first half before the peer sends the second.
func TestHandler_Streams(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				for _, undeclared := range []bool{false, true} {
					for _, size := range []int{2, 3000, 20000, 200000} {
						gate, body := make(chan struct{}), pattern(size, size)
						peer := serve(t, wire, answer(upstreamtest.Answer{Body: body, Undeclared: undeclared, Gate: gate}))
						r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
						c := r.connect().send(request("GET", "/", ""))
						resp := c.head("GET")
						half := make([]byte, size/2)
						if _, err := io.ReadFull(resp.Body, half); err != nil {
							t.Fatal(err)
						}
						close(gate)
						rest, err := io.ReadAll(resp.Body)
						if err != nil || !bytes.Equal(slices.Concat(half, rest), body) {
							t.Errorf("got %d bytes and %v, want %d", size/2+len(rest), err, size)
						}
					}
				}
			}
		})
	}
}

// TestHandler_StreamsAheadOfWhatIsNoBody: what came with the head does not wait for what the peer has sent since, if that is no
// body yet but the size of a chunk.
func TestHandler_StreamsAheadOfWhatIsNoBody(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	size := bufferSize - len(head) - len("fff\r\n") - len("\r\n") - len("5\r")
	chunk := string(pattern(1, size))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	var peer sync.WaitGroup
	peer.Go(func() { // ends with the listener, or with the response
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, bufferSize))
		_, _ = fmt.Fprintf(c, "%s%03x\r\n%s\r\n5\r\n", head, size, chunk) // the last byte does not fit the buffer
		<-gate
		_, _ = io.WriteString(c, "hello\r\n0\r\n\r\n")
	})
	t.Cleanup(func() {
		l.Close()
		peer.Wait()
	})
	r := start(t, setup{peers: at(l.Addr().String())})
	resp := r.connect().send(request("GET", "/", "")).head("GET")
	first := make([]byte, size)
	_, err = io.ReadFull(resp.Body, first)
	close(gate)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(first)+string(rest) != chunk+"hello" {
		t.Errorf("got %d bytes and %v", len(first)+len(rest), err)
	}
}

// TestHandler_UnbufferedHeadDoesNotWait: without buffering, whoever wants it so, the client has the head before the peer has
// begun the body.
func TestHandler_UnbufferedHeadDoesNotWait(t *testing.T) {
	f := func(unbuffer, finish bool, field string) {
		t.Helper()
		gate := make(chan struct{})
		peer, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = peer.Close() })
		go func() { // ends with the one response
			conn, err := peer.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"+field+"\r\n")
			<-gate
			_, _ = io.WriteString(conn, "body")
		}()
		r := start(t, setup{
			wire: upstreamtest.HTTP{}, peers: at(peer.Addr().String()),
			options: func(o *relay.Options) { o.Unbuffer, o.Finish = unbuffer, finish },
		})
		resp := r.connect().send(request("GET", "/", "")).head("GET")
		close(gate)
		if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	}
	f(true, false, "")
	f(true, true, "") // ignore_client_abort
	f(false, false, "x-accel-buffering: NO\r\n")
}

// TestHandler_NeverCompletesCutResponse: what the peer did not send whole, the client does not take for whole.
func TestHandler_NeverCompletesCutResponse(t *testing.T) {
	for _, fault := range []upstreamtest.Fault{
		upstreamtest.CloseInBody, upstreamtest.ResetInBody, upstreamtest.ShortBody, upstreamtest.HangInBody,
	} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			for _, wire := range wires() {
				t.Run(wire.Name(), func(t *testing.T) {
					t.Parallel()
					for _, unbuffer := range []bool{false, true} {
						for _, undeclared := range []bool{false, true} {
							if undeclared && (fault == upstreamtest.ShortBody || endsLike(fault, wire)) {
								continue // nothing is short of what was not declared
							}
							for _, size := range []int{100, 5000, 100000} {
								cutResponse(t, wire, upstreamtest.Answer{Body: pattern(size, size), Undeclared: undeclared, Fault: fault}, unbuffer)
							}
						}
					}
				})
			}
		})
	}
}

// endsLike says whether a fault in a body looks like the end of one that was not declared. Wine shows a reset as an end.
func endsLike(fault upstreamtest.Fault, wire upstreamtest.Wire) bool {
	return wire.OneShot() && (fault == upstreamtest.CloseInBody || fault == upstreamtest.ResetInBody && resetWords == "")
}

func cutResponse(t *testing.T, wire upstreamtest.Wire, a upstreamtest.Answer, unbuffer bool) {
	t.Helper()
	peer := serve(t, wire, answer(a))
	r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
		o.Unbuffer, o.Timeouts.Read = unbuffer, hurry
	}})
	got := r.do("GET", "/", "")
	rec := r.next()
	switch {
	case got.status == 502 && got.err == nil: // nothing had been sent
		if !bytes.Equal(got.body, proxy.Page(502)) || rec.Cause != proxy.CauseFailed {
			t.Errorf("got %.60q, cause %q", got.body, rec.Cause)
		}
	case got.status == 504 && rec.Cause == proxy.CauseTimeout: // on a busy machine the peer was too slow for the timeout
	case got.err == nil:
		t.Errorf("%d bytes, unbuffer %v: got a response that looks complete: %d, %d bytes", len(a.Body), unbuffer, got.status, len(got.body))
	case !bytes.HasPrefix(a.Body, got.body):
		t.Errorf("got bytes that the peer did not send: %.60q", got.body)
	case !rec.Truncated || rec.Status != 200 || rec.Attempts[0].Status != 200:
		t.Errorf("got %+v, want a truncated 200", rec)
	}
	r.wantLog("peer failed", "level=ERROR")
	r.wantNoLog("client gone")
}

func TestHandler_CutsExcess(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{100, 100000} {
				peer := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(size, size), Fault: upstreamtest.LongBody}))
				r := start(t, setup{wire: wire, peers: at(peer.Addr())})
				c := r.connect()
				for range 2 {
					c.send(request("GET", "/", "")).response("GET").want(t, 200, pattern(size, size))
					if rec := r.next(); rec.Truncated {
						t.Errorf("got %+v", rec)
					}
				}
				if got := peer.Conns(); got != 2 {
					t.Errorf("got %d connections to the peer, want 2: one with unread bytes is not used again", got)
				}
				if got := strings.Count(r.log.String(), "excess body"); got != 2 {
					t.Errorf("got %d log lines of excess, want 2:\n%s", got, r.log)
				}
			}
		})
	}
}

func TestHandler_LogsStderr(t *testing.T) {
	peer := serve(t, upstreamtest.FastCGI{}, answer(upstreamtest.Answer{Body: []byte("good"), Stderr: "PHP Notice: oh\n"}))
	r := start(t, setup{wire: upstreamtest.FastCGI{}, peers: at(peer.Addr())})
	r.do("GET", "/", "").want(t, 200, []byte("good"))
	r.wantLog("process stderr", "level=ERROR", "PHP Notice: oh", `phase="reading response header from upstream"`)
}

// TestHandler_ResponsesWithoutBody: 204 and 304 have none, and leave the connections in order.
func TestHandler_ResponsesWithoutBody(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
					a := upstreamtest.Answer{Body: []byte("a body that is not to be sent")}
					_, _ = fmt.Sscanf(r.Target, "/%d", &a.Status)
					return a
				})
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
				c := r.connect()
				for range 3 {
					for _, status := range []int{204, 304} {
						c.send(request("GET", fmt.Sprintf("/%d", status), "")).response("GET").want(t, status, nil)
						if rec := r.next(); rec.Truncated {
							t.Errorf("got %+v", rec)
						}
					}
				}
			}
		})
	}
}

// reading is a Handler between the relay and the client that reads the body instead of having it written.
type reading struct{ proxy.Handler }

func (h reading) Serve(ex *proxy.Exchange) error {
	if err := h.Handler.Serve(ex); err != nil {
		return err
	}
	ex.Content = readContent{ex.Content}
	return nil
}

type readContent struct{ proxy.Content }

func (c readContent) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c.Content})
}

func TestHandler_ResponsesCanBeRead(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
					size := 0
					_, _ = fmt.Sscanf(r.Target, "/%d", &size)
					return upstreamtest.Answer{Body: pattern(size, size), Undeclared: true}
				})
				r := start(t, setup{
					wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer },
					around: func(h proxy.Handler) proxy.Handler { return reading{h} },
				})
				for _, size := range sizes {
					r.do("GET", fmt.Sprintf("/%d", size), "").want(t, 200, pattern(size, size))
				}
				cut := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(1, 50000), Fault: upstreamtest.CloseInBody}))
				r = start(t, setup{
					wire: wire, peers: at(cut.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer },
					around: func(h proxy.Handler) proxy.Handler { return reading{h} },
				})
				if got := r.do("GET", "/", ""); got.err == nil {
					t.Errorf("got %d bytes that look complete", len(got.body))
				}
			}
		})
	}
}
