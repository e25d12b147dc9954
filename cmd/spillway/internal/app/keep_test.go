package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spillway/upstream/porttest"
)

// What a reload keeps that gives an upstream other settings, and with them another group.

// inflight adds up the requests at the peers of the first upstream.
func (r *running) inflight() (n int64) {
	peers := r.Status().Upstreams[0].Peers
	for i := range peers {
		n += peers[i].Inflight
	}
	return n
}

// TestReload_ABusyProcessStaysBusy: a request that runs since before the reload has its slot still, and whoever waits for one is
// served, in whichever generation.
func TestReload_ABusyProcessStaysBusy(t *testing.T) {
	addr, gate := porttest.Address(t), filepath.Join(t.TempDir(), "gate")
	config := func(timeout string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{
			processes: 2, version: "1", upstream: "concurrency: 1, queue: {length: 10, timeout: " + timeout + "}",
		})
	}
	r := start(t, config("50s"))
	pids := r.awaitReady(t, "a", 2)
	answers := make(chan *http.Response, 10)
	request := func(path string) {
		response, err := http.Get("http://" + addr + path)
		if err != nil {
			response = &http.Response{}
		} else {
			response.Body.Close()
		}
		answers <- response
	}
	slow := "/?await=" + url.QueryEscape(gate)
	go request(slow) // ends with the gate
	eventually(t, "one process is busy", func() bool { return r.inflight() == 1 })
	r.reload(t, config("51s"))
	if got := r.inflight(); got != 1 {
		t.Errorf("got %d requests in flight after the reload, want that of before", got)
	}
	if got := r.pids("a"); !slices.Equal(got, pids) {
		t.Errorf("got processes %v, want those of before, %v", got, pids)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 6 {
		response, err := client.Get("http://" + addr)
		if err != nil {
			t.Fatalf("a request waits although a process is idle: %v", err)
		}
		response.Body.Close()
	}
	go request(slow) // ends with the gate
	eventually(t, "both processes are busy", func() bool { return r.inflight() == 2 })
	waiting := func() int { return r.Status().Upstreams[0].Queue.Waiting }
	go request("/") // ends after the gate was opened
	eventually(t, "a request waits", func() bool { return waiting() == 1 })
	r.reload(t, config("52s"))
	go request("/") // ends after the gate was opened
	eventually(t, "a request waits in the next generation", func() bool { return waiting() == 1 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if response := <-answers; response.StatusCode != http.StatusOK {
			t.Errorf("got status %d", response.StatusCode)
		}
	}
	eventually(t, "no process is busy", func() bool { return r.inflight() == 0 })
}

func TestReload_PoisonIsRemembered(t *testing.T) {
	addr := porttest.Address(t)
	config := func(upstream string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off",
			addr, backend{processes: 4, version: "1", upstream: "concurrency: 1, " + upstream})
	}
	r := start(t, config("hold_timeout: 50s"))
	r.awaitReady(t, "a", 4)
	crash := func(when string) {
		t.Helper()
		if response, _ := ask(t, "http://"+addr+"/crash", nil); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: got status %d, want 503", when, response.StatusCode)
		}
	}
	crash("at first")
	before := r.awaitReady(t, "a", 4)
	for _, changed := range []string{"hold_timeout: 51s", "poison_guard: {kills: 3}", "poison_guard: {hold: 50s}"} {
		r.reload(t, config(changed))
		crash(changed)
		if got := r.awaitReady(t, "a", 4); !slices.Equal(got, before) {
			t.Errorf("%s: got processes %v, want those of before, %v", changed, got, before)
		}
	}
	if poison := r.Status().Upstreams[0].Poison; len(poison) != 1 || poison[0].Kills != 2 || poison[0].Refused != 4 {
		t.Errorf("got %+v in the status", poison)
	}
	r.reload(t, config("poison_guard: off"))
	if poison := r.Status().Upstreams[0].Poison; len(poison) != 0 {
		t.Errorf("got %+v in the status of a guard that is off", poison)
	}
}

func TestReload_PeersKeepTheirVerdicts(t *testing.T) {
	addr := porttest.Address(t)
	sick, well := newPatient(t, "sick"), newPatient(t, "well")
	sick.status.Store(http.StatusServiceUnavailable)
	closed := porttest.Address(t)
	config := func(more string) string {
		return fmt.Sprintf(`
listen: [%q]
upstreams:
  site:
    peers: [%q, %q, {address: %q, max_fails: 1, fail_timeout: 1h}]
    health: {path: /health, interval: 1s, timeout: 1s, fails: 1}
    %s
access_log: off
`, addr, sick.address, well.address, closed, more)
	}
	r := start(t, config(""))
	r.awaitState(t, sick.address, "unhealthy")
	eventually(t, "a peer has failed", func() bool {
		_, _ = ask(t, "http://"+addr, nil)
		state := r.peerStatus(closed).State
		return state == "disabled" || state == "unhealthy"
	})
	for _, changed := range []string{"retry_budget: off", "method: least_conn", "method: least_conn\n    queue: {length: 5}"} {
		fails := r.peerStatus(closed).Fails
		r.reload(t, config(changed))
		if state := r.peerStatus(sick.address).State; state != "unhealthy" {
			t.Errorf("%s: got a peer that is %s, want unhealthy", changed, state)
		}
		if p := r.peerStatus(closed); p.State != "disabled" && p.State != "unhealthy" || p.Fails != fails {
			t.Errorf("%s: got a peer that is %s after %d failures, want %d", changed, p.State, p.Fails, fails)
		}
		for range 6 {
			if _, body := ask(t, "http://"+addr, nil); body != "well" {
				t.Errorf("%s: got an answer from %s", changed, body)
			}
		}
	}
}
