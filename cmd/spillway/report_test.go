package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/why"
)

var update = flag.Bool("update", false, "write testdata/why anew")

// golden compares what write writes with a file of testdata/why.
func golden(t *testing.T, name string, write func(w *strings.Builder) error) {
	t.Helper()
	var got strings.Builder
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "why", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got.String(), want)
	}
}

// asked is a request that an upstream of two processes did not answer.
func asked() why.Report {
	return why.Report{Record: why.Record{
		ID: "k7m39pqx", Time: time.Date(2026, 11, 28, 1, 12, 3, 456e6, time.Local), Took: 0.0123, Exchange: 967, Client: "10.0.0.7",
		Request: "GET /shop?x=1 HTTP/1.1", Host: "shop.example", Server: "shop.example", Location: "/", Upstream: "django",
		Status: 502, Cause: proxy.CauseFailed, Bytes: 345,
		Attempts: []why.Attempt{{
			Peer: "127.0.0.1:9003", After: 0.0004, Status: 502, Phase: "reading response header from upstream",
			Error: "upstream prematurely closed connection", Connect: 0.0001, Response: 0.0111,
		}},
		Scene: &proxy.Scene{Queue: 1000, Waiting: 3, Peers: []proxy.ScenePeer{
			{Address: "127.0.0.1:9003", State: "up", Inflight: 1}, {Address: "127.0.0.1:9004", State: "coming"},
		}},
	}}
}

// crashed is the process that had it.
func crashed() *why.Process {
	at := time.Date(2026, 11, 28, 1, 12, 3, 4692e5, time.Local)
	return &why.Process{
		Upstream: "django", Number: 3, Port: 9003, PID: 4711, Ended: &at, Exit: "exit code 3221225477 (0xC0000005 access violation)",
		Reason: "exited", Uptime: 7423, Requests: 5123, Peak: 327_600_000,
		Output: []string{"Traceback (most recent call last):", "\tKeyError: 'x'\x1b[31m"},
	}
}

func TestWriteReport(t *testing.T) {
	f := func(name string, change func(r *why.Report)) {
		t.Helper()
		r := asked()
		change(&r)
		golden(t, name, func(w *strings.Builder) error { return writeReport(w, &r) })
	}
	f("a process that crashed", func(r *why.Report) { r.Attempts[0].Process = crashed() })
	f("a process that was killed by us", func(r *why.Report) {
		r.Status, r.Cause, r.Took = 504, proxy.CauseStuck, 60.002
		p := crashed()
		p.Exit, p.Reason, p.Peak, p.Output, p.Requests = "signal SIGKILL", "busy_timeout", 0, nil, 1
		r.Attempts[0].Process, r.Attempts[0].Status = p, 504
	})
	f("a process that runs", func(r *why.Report) {
		r.Status, r.Cause = 504, proxy.CauseTimeout
		r.Attempts[0].Error = "upstream timed out (110: Connection timed out)"
		r.Attempts[0].Process = &why.Process{Upstream: "django", Number: 3, Port: 9003, PID: 4711}
	})
	f("answered at the third attempt", func(r *why.Report) {
		r.Status, r.Cause = 200, proxy.NoCause
		first := r.Attempts[0]
		first.Process = crashed()
		second := why.Attempt{
			Peer: "127.0.0.1:9004", After: 0.012, Status: 502, Phase: "connecting to upstream",
			Error: "connect() failed (111: Connection refused)", Response: 0.0002,
		}
		third := why.Attempt{Peer: "127.0.0.1:9005", After: 0.0125, Status: 200, Connect: 0.0001, Head: 1.5, Response: 1.6, Bytes: 300}
		third.Process = &why.Process{Upstream: "django", Number: 5, Port: 9005, PID: 4713}
		r.Attempts = []why.Attempt{first, second, third}
	})
	f("an error of the application", func(r *why.Report) {
		r.Status, r.Cause, r.Stderr = 500, proxy.NoCause, "PHP Fatal error:  oh\nPHP Stack trace:\n"
		r.Attempts[0] = why.Attempt{
			Peer: "127.0.0.1:9003", Status: 500, Connect: 0.0001, Head: 0.01, Response: 0.011, Bytes: 300,
			Process: &why.Process{Upstream: "django", Number: 3, Port: 9003, PID: 4711}, Output: []string{"ERROR /shop", "Traceback"},
		}
	})
	f("a response that was cut", func(r *why.Report) {
		r.Status, r.Cause, r.Truncated, r.Spilled = 200, proxy.NoCause, true, 5<<20
		r.Attempts[0].Status, r.Attempts[0].Phase, r.Attempts[0].Head = 200, "reading upstream", 0.002
	})
	f("an error page", func(r *why.Report) {
		r.Attempts = append(r.Attempts, why.Attempt{Peer: "127.0.0.1:9100", Status: 200, Head: 0.001, Response: 0.001, Bytes: 300})
	})
	f("an error page of an application", func(r *why.Report) {
		r.Cause = proxy.NoCause
		r.Attempts[0].Error, r.Attempts[0].Phase = "", ""
		r.Attempts = append(r.Attempts, why.Attempt{Peer: "127.0.0.1:9100", Status: 200, Head: 0.001, Response: 0.001, Bytes: 300})
	})
	f("a process that ended later", func(r *why.Report) {
		p, end := crashed(), r.Time.Add(time.Hour)
		p.Ended = &end
		r.Attempts[0].Process, r.Attempts[0].Output = p, []string{"ERROR /shop"}
	})
	f("a certificate that is not trusted", func(r *why.Report) {
		r.Cause, r.Attempts[0].Phase = proxy.CauseRefused, "SSL handshaking to upstream"
		r.Attempts[0].Error = "upstream SSL certificate verify error (x509: certificate signed by unknown authority)"
	})
	f("a handshake that failed", func(r *why.Report) {
		r.Cause, r.Attempts[0].Phase = proxy.CauseRefused, "SSL handshaking to upstream"
		r.Attempts[0].Error = "SSL_do_handshake() failed (tls: first record does not look like a TLS handshake)"
	})
	f("poison", func(r *why.Report) {
		r.Status, r.Cause, r.Took = 503, proxy.CausePoison, 0.0001
		r.Attempts = []why.Attempt{{
			Peer: "django", Status: 503, Phase: "connecting to upstream", Error: "it has ended 2 processes (poison_guard), for 51s more",
		}}
		p := crashed()
		before := r.Time.Add(-9 * time.Second)
		p.Ended = &before
		r.Killed = []*why.Process{p}
	})
	f("spare ports", func(r *why.Report) {
		r.Scene.Peers = append(r.Scene.Peers, proxy.ScenePeer{Address: "127.0.0.1:9005", State: "spare"})
	})
	nobody := func(cause proxy.Cause, status int) func(r *why.Report) {
		return func(r *why.Report) {
			r.Status, r.Cause, r.Queued, r.Took = status, cause, 30.01, 30.02
			r.Attempts = []why.Attempt{{Peer: "django", After: 30.01, Status: status, Phase: "connecting to upstream", Error: "it says so"}}
			r.LastExit = crashed()
			r.LastExit.Requests = 0
		}
	}
	f("no process", nobody(proxy.CauseNoProcess, 503))
	f("no slot", func(r *why.Report) { nobody(proxy.CauseNoSlot, 503)(r); r.LastExit = nil })
	f("queue full", func(r *why.Report) { nobody(proxy.CauseQueueFull, 503)(r); r.LastExit = nil })
	unresolved := func(r *why.Report) {
		r.LastExit = nil
		r.Scene = &proxy.Scene{Queue: 1000, Waiting: 1, Unresolved: []string{"app.test:80: host not found (3: NXDOMAIN)"}}
	}
	f("no name", func(r *why.Report) { nobody(proxy.CauseNoProcess, 503)(r); unresolved(r) })
	f("no name at once", func(r *why.Report) { nobody(proxy.CauseNoPeers, 502)(r); unresolved(r); r.Queued = 0 })
	f("no peers", nobody(proxy.CauseNoPeers, 502))
	f("no attempt", func(r *why.Report) {
		r.Status, r.Cause, r.Attempts, r.Scene, r.Upstream = 500, proxy.CauseInternal, nil, nil, ""
		r.Failure, r.Request, r.Host, r.Body = "panicked", "GET /\tx\x1b HTTP/1.1", "", 1000
	})
}

func TestStory_HasASentenceForEachCause(t *testing.T) {
	seen := map[string]proxy.Cause{}
	for _, cause := range []proxy.Cause{
		proxy.CauseRefused, proxy.CauseFailed, proxy.CauseTimeout, proxy.CauseInvalid, proxy.CauseNoPeers, proxy.CauseQueueFull, proxy.CauseClientFull,
		proxy.CauseNoSlot, proxy.CauseNoProcess, proxy.CauseStuck, proxy.CauseDeadline, proxy.CausePoison, proxy.CauseClientGone, proxy.CauseInternal,
	} {
		r := asked()
		r.Cause = cause
		text := story(&r)
		if other, has := seen[text]; has || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: got %q, which is that of %s", cause, text, other)
		}
		seen[text] = cause
	}
}

func TestWriteFailures(t *testing.T) {
	since := time.Date(2026, 11, 28, 1, 0, 0, 0, time.Local)
	list := why.List{Kept: 412, Since: since, Requests: []why.Summary{
		{
			ID: "k7m39pqx", Time: since.Add(time.Hour), Request: "GET /" + strings.Repeat("x", 100) + " HTTP/1.1",
			Upstream: "django", Status: 502, Cause: proxy.CauseFailed, Error: "upstream prematurely closed connection",
		},
		{ID: "00000000", Time: since, Request: "", Status: 500, Cause: proxy.CauseInternal},
		{ID: "11111111", Time: since, Request: "GET / HTTP/1.1", Upstream: "django", Status: 500},
	}}
	golden(t, "list", func(w *strings.Builder) error { return writeFailures(w, &list) })
	golden(t, "list of nothing", func(w *strings.Builder) error { return writeFailures(w, &why.List{Since: since}) })
}
