package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"spillway/cmd/spillway/internal/app"
	"spillway/upstream/porttest"
	"spillway/upstream/upstreamtest"
)

// patient is a peer that answers its name, and on /health the status that it is given.
type patient struct {
	address string
	status  atomic.Int64
	probes  atomic.Int64
}

func newPatient(t *testing.T, name string) *patient {
	t.Helper()
	p := &patient{}
	p.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			p.probes.Add(1)
			w.WriteHeader(int(p.status.Load()))
		}
		fmt.Fprint(w, name)
	}))
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

// peerStatus returns the state of a peer.
func (r *running) peerStatus(address string) *app.PeerStatus {
	upstreams := r.Status().Upstreams
	for i := range upstreams {
		peers := upstreams[i].Peers
		for j := range peers {
			if peers[j].Address == address {
				return &peers[j]
			}
		}
	}
	return &app.PeerStatus{}
}

func (r *running) awaitState(t *testing.T, address, state string) {
	t.Helper()
	eventually(t, address+" is "+state, func() bool { return r.peerStatus(address).State == state })
}

func TestHealth_AnUnhealthyPeerGetsNoRequests(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	a, b := newPatient(t, "a"), newPatient(t, "b")
	r := start(t, fmt.Sprintf(`
listen: [%q]
upstreams:
  site:
    peers: [%q, %q]
    health: {path: /health, interval: 500ms, timeout: 500ms, fails: 2, passes: 1}
access_log: off
error_log: error.log
admin: {listen: %q}
`, addr, a.address, b.address, admin))
	answers := func() map[string]int {
		seen := map[string]int{}
		for range 10 {
			_, body := ask(t, "http://"+addr, nil)
			seen[body]++
		}
		return seen
	}
	if got := answers(); got["a"] != 5 || got["b"] != 5 {
		t.Errorf("at first: got %v, want five from each", got)
	}
	a.status.Store(http.StatusServiceUnavailable)
	r.awaitState(t, a.address, "unhealthy")
	if got := answers(); got["b"] != 10 {
		t.Errorf("one is unhealthy: got %v, want all from b", got)
	}
	if s := r.peerStatus(a.address).Health; s.Error != "status 503, want 200-399" || s.Failed < 2 || s.At == nil {
		t.Errorf("got %+v, want two failures or more, and why", s)
	}
	_, metrics := ask(t, "http://"+admin+"/metrics", nil)
	of := fmt.Sprintf(`{peer=%q,upstream="site"}`, a.address)
	for _, want := range []string{"spillway_peer_healthy" + of + " 0\n", "spillway_health_probe_seconds" + of} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if !strings.Contains(metrics, fmt.Sprintf(`spillway_health_probes_total{outcome="failed",peer=%q,upstream="site"}`, a.address)) {
		t.Error("metrics lack the failed probes")
	}
	b.status.Store(http.StatusServiceUnavailable)
	r.awaitState(t, b.address, "unhealthy")
	if got := answers(); got["a"] != 5 || got["b"] != 5 {
		t.Errorf("all are unhealthy: got %v, want five from each", got)
	}
	a.status.Store(http.StatusOK)
	r.awaitState(t, a.address, "up")
	if got := answers(); got["a"] != 10 {
		t.Errorf("one is healthy again: got %v, want all from a", got)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "error.log"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(text string, want int) {
		t.Helper()
		if got := strings.Count(string(log), text); got != want {
			t.Errorf("the log has %d lines with %q, want %d:\n%s", got, text, want, log)
		}
	}
	f("peer is unhealthy: 2 probes (GET /health) have failed in a row, the last one with: status 503, want 200-399, upstream: \"http://"+a.address, 1)
	f("peer is unhealthy", 2)
	f("all peers are unhealthy", 1)
	f("peer is healthy", 1)
}

func TestHealth_MandatoryIsBeforeTheFirstRequest(t *testing.T) {
	addr := porttest.Address(t)
	a, b := newPatient(t, "a"), newPatient(t, "b")
	a.status.Store(http.StatusServiceUnavailable)
	r := start(t, fmt.Sprintf(`
listen: [%q]
upstreams:
  site:
    peers: [%q, %q]
    health: {path: /health, interval: 1s, timeout: 1s, fails: 1000, mandatory: on}
access_log: off
`, addr, a.address, b.address))
	if got := r.peerStatus(a.address).State; got != "unhealthy" {
		t.Errorf("got a peer that is %s before its first success, want unhealthy", got)
	}
	r.awaitState(t, b.address, "up")
	for range 10 {
		if _, body := ask(t, "http://"+addr, nil); body != "b" {
			t.Errorf("got an answer from %s, which has never passed a probe", body)
		}
	}
}

func TestHealth_Reload(t *testing.T) {
	addr := porttest.Address(t)
	a := newPatient(t, "a")
	config := func(health, more string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {site: {peers: [%q], health: %s}}\naccess_log: off\n%s", addr, a.address, health, more)
	}
	r := start(t, config("{path: /health, interval: 50ms, timeout: 50ms}", ""))
	passed := func() uint64 {
		s := r.peerStatus(a.address).Health
		if s == nil {
			return 0
		}
		return s.Passed + s.Failed
	}
	eventually(t, "three probes", func() bool { return passed() >= 3 })
	r.reload(t, config("{path: /health, interval: 50ms, timeout: 50ms}", "client_header_timeout: 7s"))
	if got := passed(); got < 3 {
		t.Errorf("got %d probes after a reload that changed nothing here, want those of before", got)
	}
	r.reload(t, config("{path: /health, interval: 1h, timeout: 50ms}", ""))
	if got := passed(); got > 1 {
		t.Errorf("got %d probes after a reload that changed the interval, want a new count", got)
	}
	r.reload(t, config("off", ""))
	if r.peerStatus(a.address).Health != nil {
		t.Error("got a verdict of probes that are off")
	}
	eventually(t, "nobody probes any more", func() bool {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(stacks.String(), "upstream/health.(*Checker)")
	})
}

// TestHealth_RestartReplacesTheProcess makes one of two processes answer badly, as one does that has lost its database.
func TestHealth_RestartReplacesTheProcess(t *testing.T) {
	dir := t.TempDir()
	r, addr, _ := serve(t, backend{
		processes: 2, version: "1", env: "SICK: " + quoted(dir),
		upstream: "health: {path: /health, interval: 500ms, timeout: 500ms, fails: 2, passes: 1, restart: on}",
	}, "")
	before := r.awaitReady(t, "a", 2)
	sick := before[0]
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(sick)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, "http://"+addr+"/", 4)
	eventually(t, "the process is replaced", func() bool { return !slices.Contains(r.pids("a"), sick) })
	load.awaitMore(t, 10)
	load.end(t)
	after := r.awaitReady(t, "a", 2)
	if !slices.Contains(after, before[1]) {
		t.Errorf("got processes %v after %v, want only %d replaced", after, before, sick)
	}
	if got := r.Status().Upstreams[0].Exits["unhealthy"]; got != 1 {
		t.Errorf("got %d exits because of health, want 1", got)
	}
}

func TestHealth_FastCGIPeer(t *testing.T) {
	asked := make(chan string, 100)
	server := upstreamtest.NewServer(t, upstreamtest.FastCGI{}, func(r *upstreamtest.Request) upstreamtest.Answer {
		select {
		case asked <- r.Params["SCRIPT_FILENAME"] + " " + r.Params["APP_ENV"] + " " + r.Params["WHO"]:
		default:
		}
		return upstreamtest.Answer{Body: []byte("pong")}
	})
	root := t.TempDir()
	r := start(t, fmt.Sprintf(`
listen: [%q]
upstreams:
  php:
    protocol: fastcgi
    root: %s
    params: {APP_ENV: production, WHO: $remote_addr}
    peers: [%q]
    health: {path: /ping.php, interval: 100ms, timeout: 100ms, match: {body: pong}}
access_log: off
`, porttest.Address(t), quoted(root), server.Addr()))
	if got, want := <-asked, root+"/ping.php production "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	eventually(t, "a probe has passed", func() bool { return r.peerStatus(server.Addr()).Health.Passed > 0 })
}
