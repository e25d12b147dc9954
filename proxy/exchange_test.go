package proxy_test

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
)

// content is a body that counts how often it was closed.
type content struct {
	closed int
	ended  error // what Close was called with
	cut    error // what Close returns
}

func (c *content) Read([]byte) (int, error)         { return 0, io.EOF }
func (c *content) WriteTo(io.Writer) (int64, error) { return 0, nil }

func (c *content) Close(err error) error {
	c.closed++
	c.ended = err
	return c.cut
}

func TestExchange_FinishClosesTheContentAndTellsTheObservers(t *testing.T) {
	body := &content{}
	var told []string
	observe := func(name string) func(*proxy.Exchange) {
		return func(ex *proxy.Exchange) {
			if body.closed != 1 || ex.Content != nil || ex.End.IsZero() {
				t.Errorf("%s: closed %d times, end %v", name, body.closed, ex.End)
			}
			told = append(told, name)
		}
	}
	f := newFixture(t, []*proxy.Route{{Path: "/", Handler: handler(func(ex *proxy.Exchange) error {
		ex.Content = body
		return nil
	})}}, observe("first"), observe("second"))
	ex := f.serve("/", 0)
	ex.Finish(nil)
	if want := []string{"first", "second"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	if ex.Truncated || body.ended != nil {
		t.Errorf("got truncated %v, ended with %v", ex.Truncated, body.ended)
	}

	defer func() {
		if got := recover(); got != "proxy: exchange finished twice" {
			t.Errorf("got the panic %v", got)
		}
		if body.closed != 1 || len(told) != 2 {
			t.Errorf("the second Finish: closed %d times, told %q", body.closed, told)
		}
	}()
	ex.Finish(nil)
}

func TestExchange_FinishMarksWhatWasCut(t *testing.T) {
	broken := errors.New("broken")
	f := func(name string, body *content, err error, want bool) {
		t.Helper()
		ex := &proxy.Exchange{Content: body}
		ex.Finish(err)
		if ex.Truncated != want || !errors.Is(body.ended, err) || body.closed != 1 {
			t.Errorf("%s: got truncated %v, closed %d times with %v", name, ex.Truncated, body.closed, body.ended)
		}
	}
	f("whole", &content{}, nil, false)
	f("the client was lost", &content{}, broken, true)
	f("the peer was lost", &content{cut: broken}, nil, true)
}

func TestExchange_ResetForgetsTheRequest(t *testing.T) {
	ex := sample(t)
	ex.RequestID()
	ex.MarkGone()
	ex.Finish(nil)
	ex.Reset()
	if ex.Gone() || ex.ID != "" || len(ex.Attempts) != 0 || ex.Request != nil || ex.Route != nil || !ex.End.IsZero() {
		t.Errorf("got %+v, want nothing", ex)
	}
	ex.Finish(nil) // as a new one it can be finished
}

func TestExchange_RequestIDStays(t *testing.T) {
	ex, other := &proxy.Exchange{}, &proxy.Exchange{}
	id := ex.RequestID()
	if len(id) != 32 || ex.RequestID() != id || other.RequestID() == id {
		t.Errorf("got %q, then %q, another exchange has %q", id, ex.RequestID(), other.RequestID())
	}
}

func TestExchange_FieldsFollowTheRequest(t *testing.T) {
	count := func(ex *proxy.Exchange) (n int) {
		for name := range ex.Fields() {
			if string(name) == "X-A" || string(name) == "X-B" {
				n++
			}
		}
		return n
	}
	first, second := &fasthttp.RequestHeader{}, &fasthttp.RequestHeader{}
	first.Set("X-A", "1")
	ex := &proxy.Exchange{Request: first}
	if got := count(ex); got != 1 {
		t.Errorf("got %d fields, want 1", got)
	}
	first.Set("X-B", "2")
	if got := count(ex); got != 2 {
		t.Errorf("after another Set: got %d fields, want 2", got)
	}
	ex.Reset()
	ex.Request = second
	if got := count(ex); got != 0 {
		t.Errorf("of another request: got %d fields, want 0", got)
	}
}

func TestExchange_MarkGoneCallsOnce(t *testing.T) {
	ex, calls := &proxy.Exchange{}, 0
	ex.OnGone(func() { calls++ })
	if ex.Gone() || calls != 0 {
		t.Errorf("before: gone %v, %d calls", ex.Gone(), calls)
	}
	ex.MarkGone()
	ex.MarkGone()
	if !ex.Gone() || calls != 1 {
		t.Errorf("after: gone %v, %d calls, want one", ex.Gone(), calls)
	}
}

func TestExchange_OnGoneAfterwardsCallsAtOnce(t *testing.T) {
	ex, calls := &proxy.Exchange{}, 0
	ex.MarkGone()
	ex.OnGone(nil)
	ex.OnGone(func() { calls++ })
	if calls != 1 {
		t.Errorf("got %d calls, want one", calls)
	}
}

func TestExchange_OnGoneCanBeTakenBack(t *testing.T) {
	ex, calls := &proxy.Exchange{}, 0
	ex.OnGone(func() { calls++ })
	ex.OnGone(nil)
	ex.MarkGone()
	if calls != 0 {
		t.Errorf("got %d calls, want none", calls)
	}
}

// Once OnGone(nil) has returned, what stop uses may be given back: stop neither runs nor will.
func TestExchange_OnGoneAgainstMarkGone(t *testing.T) {
	for range 1000 {
		ex := &proxy.Exchange{}
		var over, late atomic.Bool
		var calls atomic.Int32
		var both sync.WaitGroup
		ex.OnGone(func() {
			calls.Add(1)
			if over.Load() {
				late.Store(true)
			}
		})
		both.Go(ex.MarkGone) // ends by itself
		both.Go(func() {     // ends by itself
			ex.OnGone(nil)
			over.Store(true)
		})
		both.Wait()
		if late.Load() || calls.Load() > 1 || !ex.Gone() {
			t.Fatalf("late %v, %d calls, gone %v", late.Load(), calls.Load(), ex.Gone())
		}
	}
}
