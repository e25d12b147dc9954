package upstreamtest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"spillway/upstream"
)

// expectation is how an attempt must fail; the zero Phase means that it must not.
type expectation struct {
	kind  upstream.Kind
	phase upstream.Phase
	text  string // a part of the error's text
}

// wantFailure checks an error.
func wantFailure(t *testing.T, err error, want expectation) {
	t.Helper()
	var failure *upstream.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v, want an *upstream.Error", err)
	}
	if failure.Kind != want.kind || failure.Phase != want.phase {
		t.Errorf("got kind %d, phase %q (%v), want kind %d, phase %q", failure.Kind, failure.Phase, err, want.kind, want.phase)
	}
	if !strings.Contains(failure.Error(), want.text) {
		t.Errorf("got %q, want %q in it", failure, want.text)
	}
}

// failures are the faults that end an attempt.
var failures = []struct {
	fault Fault
	want  expectation
}{
	{Silent, expectation{upstream.TimedOut, upstream.ReadingHead, "upstream timed out ("}},
	{HangInHead, expectation{upstream.TimedOut, upstream.ReadingHead, "upstream timed out ("}},
	{HangInBody, expectation{upstream.TimedOut, upstream.ReadingBody, "upstream timed out ("}},
	{CloseBeforeHead, expectation{upstream.Failed, upstream.ReadingHead, "upstream prematurely closed"}},
	{CloseInHead, expectation{upstream.Failed, upstream.ReadingHead, "upstream prematurely closed"}},
	{CloseInBody, expectation{upstream.Failed, upstream.ReadingBody, "upstream prematurely closed"}},
	{ResetBeforeHead, expectation{upstream.Failed, upstream.ReadingHead, resetText()}},
	{ResetInBody, expectation{upstream.Failed, upstream.ReadingBody, resetText()}},
	{Garbage, expectation{upstream.Invalid, upstream.ReadingHead, "upstream sent "}},
	{HugeHead, expectation{upstream.Invalid, upstream.ReadingHead, "upstream sent too big header"}},
	{ShortBody, expectation{upstream.Failed, upstream.ReadingBody, "upstream prematurely closed"}},
}

// runFaults tests each fault, and that the next exchange is not touched by it.
func (c *contract) runFaults(t *testing.T) {
	t.Helper()
	t.Run("refuse", c.refuse)
	for _, tt := range failures {
		if c.network == "unix" && (tt.fault == ResetBeforeHead || tt.fault == ResetInBody) {
			continue // such a socket has no reset but that of a close with unread bytes, which EarlyClose is
		}
		t.Run(tt.fault.String(), func(t *testing.T) { c.fail(t, tt.fault, tt.want) })
	}
	t.Run("undeclared body cut", c.undeclaredCut)
	t.Run(LongBody.String(), func(t *testing.T) { c.spoiled(t, LongBody) })
	t.Run(CloseAfter.String(), func(t *testing.T) { c.spoiled(t, CloseAfter) })
	t.Run(StrayBytes.String(), func(t *testing.T) { c.spoiled(t, StrayBytes) })
	t.Run(EarlyAnswer.String(), c.earlyAnswer)
	t.Run(EarlyClose.String(), c.earlyClose)
	if c.wire.stderr(&Request{}, "x") != nil {
		t.Run("stderr", c.stderr)
	}
}

func (c *contract) refuse(t *testing.T) {
	x := newClient(t, c.newProtocol(), refusing(t, c.network)).do(newRequest("GET", "/", nil))
	wantFailure(t, x.err, expectation{upstream.Refused, upstream.Connecting, "connect() failed ("})
}

func (c *contract) fail(t *testing.T, fault Fault, want expectation) {
	t.Helper()
	body, gate := pattern(9000), make(chan struct{})
	client, server := c.serve(t, func(r *Request) Answer {
		if r.Target != "/fault" {
			return Answer{Body: body}
		}
		return Answer{Body: body, Fault: fault, Gate: gate, Header: []Field{{"X-Some", "field"}}}
	})
	client.do(newRequest("GET", "/before", nil)).want(t, 200, body)
	timeouts := client.timeouts
	if want.kind == upstream.TimedOut {
		client.timeouts.Read = hurry
	}
	x := client.begin(newRequest("GET", "/fault", nil))
	if want.phase == upstream.ReadingBody {
		if !x.head {
			t.Fatalf("got error %v, want a head", x.err)
		}
		x.readTo(len(body) / 2)
	}
	close(gate)
	x.finish()
	wantFailure(t, x.err, want)
	if !bytes.HasPrefix(body, x.body) {
		t.Error("the body up to the fault is not what the peer sent")
	}
	client.timeouts = timeouts
	after := client.do(newRequest("GET", "/after", nil))
	after.want(t, 200, body)
	if after.reused {
		t.Error("the connection was used again")
	}
	if got := len(server.Requests()); got != 3 {
		t.Errorf("the peer got %d requests, want 3", got)
	}
}

// undeclaredCut checks that a body whose end is marked does not end without the mark. Where the end of the connection is the
// mark, a reset is none.
func (c *contract) undeclaredCut(t *testing.T) {
	fault, text := CloseInBody, "upstream prematurely closed"
	if c.wire.OneShot() {
		if c.network == "unix" || resetText() == "" {
			t.Skip("no reset that can be told from the mark")
		}
		fault, text = ResetInBody, resetText()
	}
	client, _ := c.serve(t, func(*Request) Answer {
		return Answer{Body: pattern(9000), Undeclared: true, Fault: fault}
	})
	x := client.do(newRequest("GET", "/", nil))
	wantFailure(t, x.err, expectation{upstream.Failed, upstream.ReadingBody, text})
}

// spoiled checks a connection that looks reusable after its response, and is not.
func (c *contract) spoiled(t *testing.T, fault Fault) {
	t.Helper()
	for _, size := range []int{0, 10, 20000} {
		body := pattern(size)
		client, _ := c.serve(t, func(*Request) Answer { return Answer{Body: body, Fault: fault} })
		for range 3 {
			x := client.begin(newRequest("GET", "/", nil))
			x.leave(t)
			x.want(t, 200, body)
		}
	}
}

// leave reads the rest of the body and releases the connection when the peer has spoiled it. The next exchange must not get
// it.
func (x *exchange) leave(t *testing.T) {
	t.Helper()
	if x.conn == nil {
		t.Fatal(x.err)
	}
	fate := x.drain()
	if x.reused {
		t.Error("the connection was used again")
	}
	if fate == upstream.Reusable {
		awaitReadable(t, x.conn)
	}
	x.conn.Release(fate)
	x.conn = nil
}

func (c *contract) earlyAnswer(t *testing.T) {
	refusal := []byte("too much")
	client, _ := c.serve(t, func(*Request) Answer { return Answer{Status: 413, Body: refusal, Fault: EarlyAnswer} })
	for _, size := range []int{10, 100000, 8 << 20} {
		x := client.begin(newRequest("POST", "/", pattern(size)))
		x.leave(t)
		x.want(t, 413, refusal)
	}
}

// earlyClose checks a race that cannot always be won: the reset of a connection that is closed with unread bytes may
// destroy the answer. Nothing but the answer or a failed attempt may come of it.
func (c *contract) earlyClose(t *testing.T) {
	refusal := []byte("too much")
	client, _ := c.serve(t, func(*Request) Answer { return Answer{Status: 413, Body: refusal, Fault: EarlyClose} })
	for _, size := range []int{10, 100000, 8 << 20} {
		x := client.do(newRequest("POST", "/", pattern(size)))
		if x.err == nil {
			x.want(t, 413, refusal)
			continue
		}
		if failure := (*upstream.Error)(nil); !errors.As(x.err, &failure) || failure.Kind != upstream.Failed {
			t.Errorf("got error %v, want the answer or a failed attempt", x.err)
		}
	}
}

func (c *contract) stderr(t *testing.T) {
	body := pattern(20000)
	client, _ := c.serve(t, func(*Request) Answer { return Answer{Body: body, Stderr: "PHP Notice: something"} })
	for range 2 {
		x := client.do(newRequest("GET", "/", nil))
		x.want(t, 200, body)
		if got := string(x.stderr); got != "PHP Notice: something" {
			t.Errorf("got standard error %q", got)
		}
	}
}
