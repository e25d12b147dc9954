package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/cmd/spillway/internal/app"
	"spillway/upstream/porttest"
)

// What happens to processes while clients are served.

// serve starts a server with one upstream of processes.
func serve(t *testing.T, b backend, more string) (r *running, addr, admin string) {
	t.Helper()
	addr, admin = porttest.Address(t), porttest.Address(t)
	r = start(t, fmt.Sprintf("listen: [%q]\nadmin: {listen: %q}\nupstreams: {a: %s}\n%s", addr, admin, b, more))
	r.awaitReady(t, "a", b.processes)
	return r, addr, admin
}

func TestRestart_ReplacesAllProcessesUnderLoad(t *testing.T) {
	r, addr, _ := serve(t, backend{processes: 2, version: "1"}, "")
	load := startLoad(t, "http://"+addr, 4)
	for _, name := range []string{"a", ""} {
		before := r.pids("a")
		if err := r.Restart(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		for _, pid := range r.awaitReady(t, "a", 2) {
			if slices.Contains(before, pid) {
				t.Errorf("process %d is still there", pid)
			}
		}
	}
	load.end(t)
	if err := r.Restart(t.Context(), "b"); !errors.Is(err, app.ErrUnknownUpstream) || !strings.Contains(err.Error(), `"b"; there are: a`) {
		t.Errorf("got %v, want %v", err, app.ErrUnknownUpstream)
	}
}

func TestRestart_SaysThatNothingHasProcesses(t *testing.T) {
	r := start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: {peers: [127.0.0.1:9]}}", porttest.Address(t)))
	const want = "no such upstream with processes: the configuration has no backend, so there is nothing to restart"
	for _, name := range []string{"a", ""} {
		if err := r.Restart(t.Context(), name); !errors.Is(err, app.ErrUnknownUpstream) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestApp_MaxRequestsReplacesProcessesUnderLoad(t *testing.T) {
	r, addr, admin := serve(t, backend{processes: 2, version: "1", keys: "max_requests: 50"}, "")
	before := r.pids("a")
	load := startLoad(t, "http://"+addr, 4)
	eventually(t, "both have been replaced", func() bool {
		for _, pid := range r.pids("a") {
			if slices.Contains(before, pid) {
				return false
			}
		}
		return true
	})
	load.end(t)
	if _, body := ask(t, "http://"+admin+"/metrics", nil); strings.Contains(body, `spillway_process_exits_total{backend="a",reason="max_requests"} 0`) {
		t.Error("no process has ended because of max_requests")
	}
}

func TestApp_BusyTimeoutEndsAStuckProcess(t *testing.T) {
	r, addr, admin := serve(t, backend{processes: 1, version: "1", keys: "busy_timeout: 100ms"}, "")
	before := r.pids("a")
	if response, _ := ask(t, "http://"+addr+"/stuck", nil); response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got status %d, want 504", response.StatusCode)
	}
	if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK || slices.Contains(before, pidOf(response)) {
		t.Errorf("got status %d from process %d, want 200 from another than %v", response.StatusCode, pidOf(response), before)
	}
	want := `spillway_process_exits_total{backend="a",reason="busy_timeout"} 1`
	if _, body := ask(t, "http://"+admin+"/metrics", nil); !strings.Contains(body, want) {
		t.Errorf("%s is missing", want)
	}
}

// TestApp_ARequestThatCrashesProcessesIsRefused: it is tried on two of four, and then on no other.
func TestApp_ARequestThatCrashesProcessesIsRefused(t *testing.T) {
	r, addr, admin := serve(t, backend{processes: 4, version: "1", upstream: "concurrency: 1"}, "")
	before := r.pids("a")
	for _, query := range []string{"?id=1", "?id=2", "?id=3"} {
		if response, _ := ask(t, "http://"+addr+"/crash"+query, nil); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: got status %d, want 503", query, response.StatusCode)
		}
	}
	if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK {
		t.Errorf("got status %d of another page", response.StatusCode)
	}
	left := 0
	for _, pid := range r.awaitReady(t, "a", 4) {
		if slices.Contains(before, pid) {
			left++
		}
	}
	if left != 2 {
		t.Errorf("got %d of 4 processes that were not ended, want 2", left)
	}
	poison := r.Status().Upstreams[0].Poison
	if len(poison) != 1 || poison[0].Path != "/crash" || poison[0].Kills != 2 || poison[0].Refused != 3 || poison[0].Until == nil {
		t.Errorf("got %+v in the status", poison)
	}
	for _, want := range []string{
		`spillway_poison_refused_total{upstream="a"} 3`, `spillway_poison_requests{upstream="a"} 1`,
		`spillway_responses_total{cause="poison",code="503",upstream="a"} 3`,
	} {
		eventually(t, want, func() bool {
			_, body := ask(t, "http://"+admin+"/metrics", nil)
			return strings.Contains(body, want)
		})
	}
}

func pidOf(response *http.Response) int {
	pid := 0
	_, _ = fmt.Sscan(response.Header.Get("X-Pid"), &pid)
	return pid
}

func TestApp_AllProcessesAreKilledUnderLoad(t *testing.T) {
	r, addr, _ := serve(t, backend{processes: 2, version: "1"}, "")
	load := startLoad(t, "http://"+addr, 4)
	before := r.pids("a")
	for _, pid := range before {
		p, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	load.awaitMore(t, 100)
	for _, pid := range r.awaitReady(t, "a", 2) {
		if slices.Contains(before, pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	load.end(t)
}

func TestApp_WatchRestartsProcessesWhenAFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.py")
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, addr, _ := serve(t, backend{processes: 1, version: "1", keys: "watch: [" + quoted(file) + "]"}, "error_log: {path: error.log, level: notice}\n")
	before := r.pids("a")
	load := startLoad(t, "http://"+addr, 2)
	if err := os.WriteFile(file, []byte("the second version"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is replaced", func() bool { return len(r.pids("a")) == 1 && !slices.Equal(r.pids("a"), before) })
	load.end(t)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "error.log"))
	if err != nil || !strings.Contains(string(text), "file changed, restarting processes") || !strings.Contains(string(text), "processes restarted") {
		t.Errorf("got the error log %q, %v", text, err)
	}
}

func TestReopen_FollowsRenamedFiles(t *testing.T) {
	r, addr, _ := serve(t, backend{processes: 1, version: "1", keys: "output: 'out-{process}.log'"},
		"access_log: {path: access.log, format: '$uri'}\nerror_log: {path: error.log, level: info}\n")
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(r.dir, name))
		return string(text)
	}
	ask(t, "http://"+addr+"/first", nil)
	eventually(t, "the first lines are there", func() bool {
		return strings.Contains(read("access.log"), "/first") && strings.Contains(read("out-1.log"), "process 1 listens")
	})
	for _, name := range []string{"access.log", "error.log", "out-1.log"} {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.dir, name+".1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	ask(t, "http://"+addr+"/second", nil)
	if err := r.Restart(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next lines are there", func() bool {
		return strings.Contains(read("access.log"), "/second") && strings.Contains(read("out-1.log"), "process 1 listens") &&
			strings.Contains(read("error.log"), "processes restarted")
	})
	if got := read("access.log.1"); strings.Contains(got, "/second") {
		t.Errorf("got %q in the renamed file", got)
	}
}

// A fast stop waits for nobody, and hurries a stop that waits.
func TestKill_CutsWhatRuns(t *testing.T) {
	for _, first := range []string{"nothing", "stop"} {
		t.Run("after "+first, func(t *testing.T) {
			r, addr, _ := serve(t, backend{processes: 1, version: "1"}, "shutdown_timeout: 1h\n")
			ports := r.ports("a")
			ended := make(chan error, 2)
			go func() { // ends with the kill
				_, err := http.Get("http://" + addr + "/?await=" + filepath.Join(r.dir, "never"))
				ended <- err
			}()
			eventually(t, "the request is at the process", func() bool {
				return r.Status().Upstreams[0].Peers[0].Inflight+r.Status().Upstreams[0].Peers[1].Inflight == 1
			})
			r.stopped = true
			if first == "stop" {
				go func() { // ends with the kill
					if err := r.Stop(); err != nil {
						t.Error(err)
					}
				}()
				eventually(t, "nobody is let in", func() bool { return refuses(addr) })
			}
			if err := r.Kill(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("the request had an answer")
			}
			r.awaitClosed(t, ports)
		})
	}
}

// A backend whose number of processes changes starts one when a request waits, and none before.
func TestApp_ProcessesAreStartedOnDemand(t *testing.T) {
	r, addr, _ := serve(t, backend{number: "{min: 0, max: 2}", version: "1"}, "")
	if got := r.pids("a"); len(got) != 0 {
		t.Errorf("got processes %v before the first request", got)
	}
	if response, body := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
	// With a fixed number nothing is worth waiting for when the only process was given up, and the other way round.
	config := func(b backend) string { return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\n", addr, b) }
	r.reload(t, config(backend{processes: 1, version: "1"}))
	r.awaitReady(t, "a", 1)
	for _, u := range r.Status().Upstreams {
		for _, p := range u.Peers {
			if p.Process.State == "idle" && p.State != "away" {
				t.Errorf("got state %s of a spare port", p.State)
			}
		}
	}
	r.reload(t, config(backend{number: "{min: 0, max: 1, spare: 0-1, idle: 100ms}", version: "2"}))
	for range 3 {
		if response, body := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK || response.Header.Get("X-Version") != "2" {
			t.Errorf("got %d %q", response.StatusCode, body)
		}
	}
}

// When all processes that there may be were given up, a spare port is nothing to wait for.
func TestApp_NobodyWaitsForProcessesThatWereGivenUp(t *testing.T) {
	r, addr, _ := serve(t, backend{
		number: "{min: 0, max: 1}", env: "REFUSE: there is no database", keys: "rapid_fail: 1 in 1m", upstream: "hold_timeout: 1h",
	}, "")
	if response, body := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
	for _, u := range r.Status().Upstreams {
		for _, p := range u.Peers {
			if p.State != "away" {
				t.Errorf("got state %s of %+v", p.State, p.Process)
			}
		}
	}
}

func TestApp_StatusAndMetricsOfProcesses(t *testing.T) {
	r, _, admin := serve(t, backend{processes: 2, version: "1"}, "")
	spares := 0
	for _, p := range r.ports("a") {
		switch p.State {
		case "idle":
			spares++
		case "ready":
			if p.PID == 0 || p.Number == 0 || p.Starts != 1 || time.Since(p.Since) > time.Minute {
				t.Errorf("got %+v", p)
			}
		default:
			t.Errorf("got state %s", p.State)
		}
	}
	if spares != 1 {
		t.Errorf("got %d spare ports, want 1", spares)
	}
	_, body := ask(t, "http://"+admin+"/metrics", nil)
	for _, want := range []string{
		`spillway_processes_ready{backend="a"} 2`, `spillway_processes{backend="a",state="ready"} 2`,
		`spillway_processes{backend="a",state="starting"} 0`, `spillway_process_starts_total{backend="a"} 2`,
		`spillway_process_exits_total{backend="a",reason="exited"} 0`, `spillway_queue_waiting{upstream="a"} 0`,
		`spillway_queue_wait_seconds_total{upstream="a"} 0`,
		`spillway_reloads_total{result="done"} 0`, `spillway_reloads_total{result="refused"} 0`,
		`spillway_config_last_reload_successful 1`, `spillway_config_generation 1`,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("%s is missing", want)
		}
	}
}
