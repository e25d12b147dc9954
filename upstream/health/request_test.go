package health_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/fastcgi"
	"spillway/upstream/health"
	"spillway/upstream/scgi"
	"spillway/upstream/upstreamtest"
	"spillway/upstream/uwsgi"
)

// patience is how long a probe waits for what must come, and hurry for what must not.
const (
	patience = 20 * time.Second
	hurry    = 100 * time.Millisecond
)

// language is a wire language with what speaks it.
type language struct {
	wire     upstreamtest.Wire
	protocol upstream.Protocol // as in health.Request
}

func languages() []language {
	scripts := cgi.Params{Root: "/srv/site"}
	return []language{
		{upstreamtest.HTTP{}, nil},
		{upstreamtest.FastCGI{}, fastcgi.New(fastcgi.Options{Params: scripts})},
		{upstreamtest.SCGI{}, scgi.New(scgi.Options{Params: scripts})},
		{upstreamtest.UWSGI{}, uwsgi.New(uwsgi.Options{Params: scripts})},
	}
}

// groupOf returns a group with one peer.
func groupOf(t *testing.T, address string) *upstream.Group {
	t.Helper()
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Scheme: "http", Protocol: mute{}, Peers: []upstream.PeerOptions{{Address: address}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func peerAt(t *testing.T, address string) *upstream.Peer {
	t.Helper()
	return groupOf(t, address).Peers()[0]
}

// refusing returns an address that nobody listens at.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func probe(t *testing.T, timeout time.Duration, p health.Probe, peer *upstream.Peer) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return p(ctx, peer)
}

// faults are answers, and what a probe says of them; "" is that it passes.
var faults = []struct {
	name    string
	answer  upstreamtest.Answer
	timeout time.Duration
	match   health.Match
	want    string
}{
	{name: "good", answer: upstreamtest.Answer{Body: []byte("all ok")}, match: health.Match{Body: "ok"}},
	{name: "redirect", answer: upstreamtest.Answer{Status: 302}},
	{name: "no content", answer: upstreamtest.Answer{Status: 204}},
	{name: "byte by byte", answer: upstreamtest.Answer{Body: []byte("ok"), Fault: upstreamtest.ByteByByte}, match: health.Match{Body: "ok"}},
	{name: "500", answer: upstreamtest.Answer{Status: 500}, want: "status 500, want 200-399"},
	{
		name: "wrong status", answer: upstreamtest.Answer{Status: 302},
		match: health.Match{Status: []health.Range{{200, 200}, {204, 206}}}, want: "status 302, want 200 204-206",
	},
	{name: "wrong body", answer: upstreamtest.Answer{Body: []byte("maintenance")}, match: health.Match{Body: "ok"}, want: `"ok" is not in the body`},
	{
		name: "right field", answer: upstreamtest.Answer{Header: []upstreamtest.Field{{Name: "x-state", Value: "up"}}},
		match: health.Match{Header: []health.Field{{Name: "X-State", Value: "up"}}},
	},
	{
		name: "wrong field", answer: upstreamtest.Answer{Header: []upstreamtest.Field{{Name: "X-State", Value: "down"}}},
		match: health.Match{Header: []health.Field{{Name: "x-state", Value: "up"}}}, want: `header field x-state is "down", want "up"`,
	},
	{name: "silent", answer: upstreamtest.Answer{Fault: upstreamtest.Silent}, timeout: hurry, want: "e"},
	{name: "hangs in head", answer: upstreamtest.Answer{Fault: upstreamtest.HangInHead}, timeout: hurry, want: "e"},
	{name: "hangs in body", answer: upstreamtest.Answer{Body: []byte("ok"), Fault: upstreamtest.HangInBody}, timeout: hurry, want: "e"},
	{name: "closes", answer: upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}, want: "closed"},
	{name: "closes in head", answer: upstreamtest.Answer{Fault: upstreamtest.CloseInHead}, want: "e"},
	{name: "closes in body", answer: upstreamtest.Answer{Body: []byte("ok"), Fault: upstreamtest.CloseInBody}, want: "e"},
	{name: "resets", answer: upstreamtest.Answer{Fault: upstreamtest.ResetBeforeHead}, want: "e"},
	{name: "garbage", answer: upstreamtest.Answer{Fault: upstreamtest.Garbage}, want: "e"},
	{name: "huge head", answer: upstreamtest.Answer{Fault: upstreamtest.HugeHead}, want: "e"},
	{name: "endless body", answer: upstreamtest.Answer{Body: make([]byte, 1<<20)}},
}

func TestProbe_Faults(t *testing.T) {
	for _, l := range languages() {
		for _, tt := range faults {
			t.Run(l.wire.Name()+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				server := upstreamtest.NewServer(t, l.wire, func(*upstreamtest.Request) upstreamtest.Answer { return tt.answer })
				p := health.NewProbe(health.Request{Path: "/health", Protocol: l.protocol}, tt.match)
				timeout := tt.timeout
				if timeout == 0 {
					timeout = patience
				}
				err := probe(t, timeout, p, peerAt(t, server.Addr()))
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("got %v, want a success", err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("got %v, want a failure with %q", err, tt.want)
				case errors.Is(err, health.ErrNoVerdict):
					t.Errorf("got %v, which is no verdict", err)
				}
			})
		}
	}
}

func TestProbe_Refused(t *testing.T) {
	probes := map[string]health.Probe{"tcp": health.TCP}
	for _, l := range languages() {
		probes[l.wire.Name()] = health.NewProbe(health.Request{Path: "/", Protocol: l.protocol}, health.Match{})
	}
	for name, p := range probes {
		if err := probe(t, patience, p, peerAt(t, refusing(t))); err == nil || errors.Is(err, health.ErrNoVerdict) {
			t.Errorf("%s: got %v, want a refused connection", name, err)
		}
	}
}

func TestProbe_TCPConnectsOnly(t *testing.T) {
	server := upstreamtest.NewServer(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		return upstreamtest.Answer{Status: 500}
	})
	if err := probe(t, patience, health.TCP, peerAt(t, server.Addr())); err != nil {
		t.Error(err)
	}
	if got := server.Requests(); len(got) != 0 {
		t.Errorf("got %d requests, want a connection only", len(got))
	}
}

// TestRequest_WhatThePeerSees compares what both languages say, and that the connection is not kept.
func TestRequest_WhatThePeerSees(t *testing.T) {
	for _, l := range languages() {
		server := upstreamtest.NewServer(t, l.wire, func(*upstreamtest.Request) upstreamtest.Answer { return upstreamtest.Answer{} })
		request := health.Request{
			Path: "/status.php?full=1", Host: "site.example", Protocol: l.protocol,
			Params: []upstream.Field{{Name: []byte("APP_ENV"), Value: []byte("production")}},
		}
		for range 2 {
			if err := probe(t, patience, health.NewProbe(request, health.Match{}), peerAt(t, server.Addr())); err != nil {
				t.Fatal(err)
			}
		}
		if got := server.Conns(); got != 2 {
			t.Errorf("%s: got %d connections for two probes, want 2", l.wire.Name(), got)
		}
		got := server.Requests()[0]
		if got.Method != http.MethodGet || got.Target != "/status.php?full=1" || got.KeepAlive {
			t.Errorf("%s: got %s %s, kept: %v", l.wire.Name(), got.Method, got.Target, got.KeepAlive)
		}
		want := map[string]string{"Host": "site.example", "User-Agent": "spillway-health"}
		for _, f := range got.Header {
			if value, ok := want[f.Name]; ok && value == f.Value {
				delete(want, f.Name)
			}
		}
		if len(want) != 0 {
			t.Errorf("%s: got %v, which lacks %v", l.wire.Name(), got.Header, want)
		}
		if l.protocol == nil {
			continue
		}
		for name, value := range map[string]string{
			"SCRIPT_FILENAME": "/srv/site/status.php", "QUERY_STRING": "full=1", "SERVER_NAME": "site.example",
			"APP_ENV": "production",
		} {
			if got.Params[name] != value {
				t.Errorf("%s: got %s=%q, want %q", l.wire.Name(), name, got.Params[name], value)
			}
		}
	}
}

func TestProbe_TLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // gets the handshakes that fail
	server.StartTLS()
	defer server.Close()
	f := func(config *tls.Config) error {
		t.Helper()
		g, err := upstream.NewGroup(upstream.GroupOptions{
			Name: "app", Protocol: mute{}, TLS: config, Peers: []upstream.PeerOptions{{Address: server.Listener.Addr().String()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		return probe(t, patience, health.NewProbe(health.Request{Path: "/"}, health.Match{}), g.Peers()[0])
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if err := f(&tls.Config{RootCAs: roots}); err != nil {
		t.Errorf("with the right roots: %v", err)
	}
	if err := f(&tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("with other roots: got a success")
	}
	if err := f(nil); err == nil {
		t.Error("without TLS: got a success")
	}
}

// TestChecker_Flapping is a peer that really answers, fails and comes back.
func TestChecker_Flapping(t *testing.T) {
	for _, l := range languages() {
		t.Run(l.wire.Name(), func(t *testing.T) {
			t.Parallel()
			status := make(chan int) // one for each probe
			server := upstreamtest.NewServer(t, l.wire, func(*upstreamtest.Request) upstreamtest.Answer {
				return upstreamtest.Answer{Status: <-status}
			})
			t.Cleanup(func() { close(status) })
			g := groupOf(t, server.Addr())
			peer := g.Peers()[0]
			c := health.Start(health.Options{
				Group: g, Probe: health.NewProbe(health.Request{Path: "/", Protocol: l.protocol}, health.Match{}),
				Interval: 5 * time.Millisecond, Timeout: patience, Fails: 2, Passes: 2, Log: slog.New(slog.DiscardHandler),
			})
			defer c.Close()
			for i, step := range []struct {
				status int
				want   upstream.Health
			}{
				{200, upstream.Healthy},
				{500, upstream.Healthy},
				{200, upstream.Healthy},
				{500, upstream.Healthy},
				{500, upstream.Unhealthy},
				{500, upstream.Unhealthy},
				{200, upstream.Unhealthy},
				{500, upstream.Unhealthy},
				{200, upstream.Unhealthy},
				{200, upstream.Healthy},
				{200, upstream.Healthy},
			} {
				before := c.Of(peer).Total
				status <- step.status
				// The verdict follows the count, so it may be that of the step before for a moment.
				for late := time.After(patience); c.Of(peer).Total == before || peer.Health() != step.want; {
					select {
					case <-time.After(time.Millisecond):
					case <-late:
						t.Fatalf("step %d, status %d: got verdict %v, want %v", i, step.status, peer.Health(), step.want)
					}
				}
			}
		})
	}
}
