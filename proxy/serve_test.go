package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/errorlog"
	"spillway/proxy/routing"
)

// handler is a function as a proxy.Handler.
type handler func(ex *proxy.Exchange) error

func (h handler) Serve(ex *proxy.Exchange) error { return h(ex) }

// fixture is a Front whose default server has a location for each of routes, and its error log.
type fixture struct {
	front *proxy.Front
	log   bytes.Buffer
}

func newFixture(t *testing.T, routes []*proxy.Route, observers ...func(*proxy.Exchange)) *fixture {
	t.Helper()
	return newFixtureOf(t, routes, proxy.Options{Observers: observers})
}

// newFixtureOf is newFixture with more options.
func newFixtureOf(t *testing.T, routes []*proxy.Route, opts proxy.Options) *fixture {
	t.Helper()
	f := &fixture{}
	lines, err := errorlog.New(errorlog.Options{Out: &f.log, PID: 1})
	if err != nil {
		t.Fatal(err)
	}
	var builder routing.Builder[*proxy.Route]
	server, err := builder.Server(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if err := server.Location(routing.Pattern{Path: r.Path}, r); err != nil {
			t.Fatal(err)
		}
	}
	opts.Routes, opts.Log = builder.Build(), slog.New(lines)
	f.front, err = proxy.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// serve sends a request for the path through the front and does not finish it.
func (f *fixture) serve(path string, bodyLength int64) *proxy.Exchange {
	ex := &proxy.Exchange{
		Request: &fasthttp.RequestHeader{}, Response: &fasthttp.ResponseHeader{}, Conn: 7, RemoteAddr: "192.0.2.7",
		Method: []byte("POST"), Target: []byte(path), Path: []byte(path), Proto: []byte("HTTP/1.1"), BodyLength: bodyLength,
	}
	f.front.Serve(ex)
	return ex
}

// line returns the only line of the log without its time.
func (f *fixture) line(t *testing.T) string {
	t.Helper()
	text := regexp.MustCompile(`^\S+ \S+ `).ReplaceAllString(f.log.String(), "")
	if strings.Count(text, "\n") != 1 {
		t.Fatalf("got the log %q, want one line", text)
	}
	return strings.TrimRight(text, "\r\n") // nginx ends its lines as the system does
}

var example = &proxy.Site{Name: "example.org"}

func TestNew_RequiresRoutesAndLog(t *testing.T) {
	var builder routing.Builder[*proxy.Route]
	if _, err := proxy.New(proxy.Options{Routes: builder.Build()}); err == nil {
		t.Error("got a front without a log")
	}
	if _, err := proxy.New(proxy.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("got a front without routes")
	}
}

func TestFront_ServeRunsTheHandlerOfTheLocation(t *testing.T) {
	var served []string
	note := func(name string) proxy.Handler {
		return handler(func(ex *proxy.Exchange) error {
			served = append(served, name+" for "+ex.ServerName()+ex.Route.Path)
			ex.Bytes = []byte(name)
			return nil
		})
	}
	f := newFixture(t, []*proxy.Route{
		{Site: example, Path: "/a/", Handler: note("first")}, {Site: example, Path: "/a/b/", Handler: note("second")},
	})
	ex := f.serve("/a/x", 0)
	if ex.Status() != 200 || string(ex.Bytes) != "first" {
		t.Errorf("got %d %q, want 200 first", ex.Status(), ex.Bytes)
	}
	f.serve("/a/b/x", 0)
	if want := []string{"first for example.org/a/", "second for example.org/a/b/"}; !slices.Equal(served, want) {
		t.Errorf("got %q, want %q", served, want)
	}
	if ex.Front() != f.front {
		t.Error("the exchange does not know its front")
	}
}

func TestFront_ServeWithoutLocationIs404(t *testing.T) {
	f := newFixture(t, []*proxy.Route{{Site: example, Path: "/a/"}})
	for _, path := range []string{"/", "/b/", "/a/without/handler"} {
		if ex := f.serve(path, 0); ex.Status() != 404 || !bytes.Equal(ex.Bytes, proxy.Page(404)) || ex.Cause != proxy.NoCause {
			t.Errorf("%s: got %d %q %q, want the page of 404", path, ex.Status(), ex.Bytes, ex.Cause)
		}
	}
	if f.log.Len() > 0 {
		t.Errorf("got the log %q, want none", f.log.String())
	}
}

func TestFront_ServeRefusesALargeBodyByItsDeclaredLength(t *testing.T) {
	served := 0
	answer := handler(func(*proxy.Exchange) error { served++; return nil })
	f := newFixture(t, []*proxy.Route{
		{Site: example, Path: "/", Handler: answer, MaxBody: 10}, {Site: example, Path: "/any/", Handler: answer},
	})
	// What is chunked, -1, is measured while it arrives.
	for path, length := range map[string]int64{"/exact": 10, "/chunked": -1, "/none": 0, "/any/thing": 1 << 40} {
		if ex := f.serve(path, length); ex.Status() != 200 {
			t.Errorf("%s: got %d, want 200", path, ex.Status())
		}
	}
	if served != 4 || f.log.Len() > 0 {
		t.Errorf("got %d served and the log %q, want 4 and none", served, f.log.String())
	}

	ex := f.serve("/up", 11)
	if ex.Status() != 413 || ex.Cause != proxy.CauseRequestBody || !ex.CloseClient || served != 4 {
		t.Errorf("got %d %q, close %v, served %d", ex.Status(), ex.Cause, ex.CloseClient, served)
	}
	want := `[error] 1#1: *7 client intended to send too large body: 11 bytes, client: 192.0.2.7, server: example.org, ` +
		`request: "POST /up HTTP/1.1"`
	if got := f.line(t); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFront_ServeSurvivesAPanic(t *testing.T) {
	begun := &content{}
	f := newFixture(t, []*proxy.Route{
		{Site: example, Path: "/", Handler: handler(func(ex *proxy.Exchange) error {
			ex.Content = begun
			panic("a bug")
		})},
		{Site: example, Path: "/good/", Handler: handler(func(*proxy.Exchange) error { return nil })},
	})
	ex := f.serve("/x", 0)
	if ex.Status() != 500 || !bytes.Equal(ex.Bytes, proxy.Page(500)) || ex.Cause != proxy.CauseInternal {
		t.Errorf("got %d %q %q, want the page of 500", ex.Status(), ex.Bytes, ex.Cause)
	}
	if begun.closed != 1 {
		t.Errorf("content closed %d times, want once", begun.closed)
	}
	if got := f.line(t); !strings.HasPrefix(got, "[alert] 1#1: *7 panic while handling the request: a bug") || !strings.Contains(got, "serve_test.go") {
		t.Errorf("got %s, want the panic and its place", got)
	}
	if ex := f.serve("/good/", 0); ex.Status() != 200 {
		t.Errorf("after the panic: got %d, want 200", ex.Status())
	}
}

func TestFront_ServeMakesAPageOfAnError(t *testing.T) {
	f := newFixture(t, []*proxy.Route{
		{Path: "/502", Handler: handler(func(*proxy.Exchange) error {
			return &proxy.StatusError{Code: 502, Cause: proxy.CauseRefused, Err: errors.New("logged by the handler")}
		})},
		{Path: "/500", Handler: handler(func(*proxy.Exchange) error { return errors.New("something") })},
	})
	if ex := f.serve("/502", 0); !bytes.Equal(ex.Bytes, proxy.Page(502)) || ex.Cause != proxy.CauseRefused {
		t.Errorf("got %q %q, want the page of 502", ex.Bytes, ex.Cause)
	}
	if ex := f.serve("/500", 0); !bytes.Equal(ex.Bytes, proxy.Page(500)) || ex.Cause != proxy.CauseInternal {
		t.Errorf("got %q %q, want the page of 500", ex.Bytes, ex.Cause)
	}
}

func TestFront_RefuseAnswersWithoutARoute(t *testing.T) {
	observed := 0
	f := newFixture(t, nil, func(*proxy.Exchange) { observed++ })
	ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}}
	f.front.Refuse(ex, &proxy.StatusError{Code: 400})
	ex.Finish(nil)
	if ex.Status() != 400 || !ex.CloseClient || ex.ServerName() != "" || observed != 1 {
		t.Errorf("got %d, close %v, server %q, observed %d", ex.Status(), ex.CloseClient, ex.ServerName(), observed)
	}
}

// TestFront_KnowsItsExchanges: those from Serve or Refuse to the end of Finish, each once.
func TestFront_KnowsItsExchanges(t *testing.T) {
	var f *fixture
	f = newFixture(t, []*proxy.Route{{Site: example, Path: "/a/"}}, func(*proxy.Exchange) {
		if f.front.Busy() == 0 {
			t.Error("not busy while the observers are told")
		}
	})
	first, second := f.serve("/a/", 0), f.serve("/b/", 0)
	f.front.Refuse(second, errors.New("refused"))
	if got := f.front.Busy(); got != 2 {
		t.Errorf("got %d exchanges, want 2", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.front.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	done := make(chan error)
	go func() { done <- f.front.Wait(t.Context()) }() // ends with the exchanges
	first.Finish(nil)
	second.Finish(errors.New("client gone"))
	if err := <-done; err != nil || f.front.Busy() != 0 {
		t.Errorf("got %v, %d exchanges, want none", err, f.front.Busy())
	}
}

func TestFront_HandsOverWhatComesAfterwards(t *testing.T) {
	served := ""
	as := func(name string) []*proxy.Route {
		return []*proxy.Route{{Site: &proxy.Site{}, Path: "/", Handler: handler(func(*proxy.Exchange) error { served += name; return nil })}}
	}
	first, second := newFixture(t, as("1")), newFixture(t, as("2"))
	check := func(want string, busyFirst, busySecond int64) {
		t.Helper()
		if served != want || first.front.Busy() != busyFirst || second.front.Busy() != busySecond {
			t.Errorf("got %s, %d and %d busy, want %s, %d and %d", served, first.front.Busy(), second.front.Busy(), want, busyFirst, busySecond)
		}
	}
	running := first.serve("/", 0)
	first.front.HandOver(second.front)
	handed := first.serve("/", 0)
	check("12", 1, 1)
	first.front.Refuse(handed, errors.New("late")) // it stays where it began
	running.Finish(nil)
	check("12", 0, 1)
	if err := first.front.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	handed.Finish(nil)
	check("12", 0, 0)

	first.front.HandOver(nil) // and back
	second.front.HandOver(first.front)
	second.serve("/", 0).Finish(nil)
	check("121", 0, 0)
}
