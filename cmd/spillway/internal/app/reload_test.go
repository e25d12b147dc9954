package app_test

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// reload replaces the configuration; the test ends when that does not succeed.
func (r *running) reload(t *testing.T, yaml string) {
	t.Helper()
	if err := r.Reload(t.Context(), parse(t, r.dir, yaml)); err != nil {
		t.Fatalf("reload: %v", err)
	}
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// pids returns the processes of an upstream that run, in the order of their numbers.
func (r *running) pids(name string) []int {
	var pids []int
	for _, p := range r.ports(name) {
		if p.PID > 0 {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// ports returns the ports of an upstream with what runs there, in the order of the processes' numbers.
func (r *running) ports(name string) []*app.ProcessStatus {
	var all []*app.ProcessStatus
	upstreams := r.Status().Upstreams
	for i := range upstreams {
		for j := range upstreams[i].Peers {
			if p := &upstreams[i].Peers[j]; upstreams[i].Name == name && p.Process != nil {
				all = append(all, p.Process)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *app.ProcessStatus) int { return a.Number - b.Number })
	return all
}

// awaitReady waits until an upstream has n processes that are ready and nothing else.
func (r *running) awaitReady(t *testing.T, name string, n int) []int {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d ready processes", name, n), func() bool {
		ready := 0
		for _, p := range r.ports(name) {
			switch p.State {
			case "ready":
				ready++
			case "idle":
			default:
				return false
			}
		}
		return ready == n
	})
	return r.pids(name)
}

func refuses(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// awaitClosed waits until the processes that had these ports have ended.
func (r *running) awaitClosed(t *testing.T, ports []*app.ProcessStatus) {
	t.Helper()
	for _, p := range ports {
		eventually(t, fmt.Sprintf("nobody listens on %d", p.Port), func() bool { return refuses(fmt.Sprintf("127.0.0.1:%d", p.Port)) })
	}
}

func TestReload_UnchangedBackendKeepsItsProcesses(t *testing.T) {
	addr := porttest.Address(t)
	config := func(upstreams, more string) string {
		return fmt.Sprintf("# a line that moves the others\nlisten: [%q]\nupstreams: {a: %s}\naccess_log: off\n%s", addr, upstreams, more)
	}
	r := start(t, config(backend{processes: 2, version: "1"}.String(), ""))
	before := r.awaitReady(t, "a", 2)
	f := func(name, config string) {
		t.Helper()
		generation := r.Status().Loaded.Number
		r.reload(t, config)
		if got := r.pids("a"); !slices.Equal(got, before) {
			t.Errorf("%s: got processes %v, want those of before, %v", name, got, before)
		}
		if got := r.Status().Loaded.Number; got != generation+1 {
			t.Errorf("%s: got generation %d after %d", name, got, generation)
		}
		if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK {
			t.Errorf("%s: got status %d", name, response.StatusCode)
		}
	}
	f("nothing changed", config(backend{processes: 2, version: "1"}.String(), "\n# nothing\n"))
	f("settings", config(backend{processes: 2, version: "1"}.String(), "read_timeout: 5s\nset_header: {X-A: b}\nbuffers: 4 8k\n"))
	f("the group", config(backend{processes: 2, version: "1", upstream: "keepalive: 4"}.String(), ""))
	f("what the app does with processes", config(backend{processes: 2, version: "1", keys: "busy_timeout: 60s, max_requests: 1000"}.String(), ""))
}

func TestReload_ChangedCommandReplacesTheProcessesUnderLoad(t *testing.T) {
	addr := porttest.Address(t)
	config := func(version string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{processes: 2, version: version})
	}
	r := start(t, config("1"))
	before := r.awaitReady(t, "a", 2)
	load := startLoad(t, "http://"+addr, 4)
	r.reload(t, config("2"))
	if response, _ := ask(t, "http://"+addr, nil); response.Header.Get("X-Version") != "2" {
		t.Errorf("got version %q, want the new one when Reload returns", response.Header.Get("X-Version"))
	}
	load.end(t)
	for _, pid := range r.awaitReady(t, "a", 2) {
		if slices.Contains(before, pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestReload_MovesProcessesToOtherPortsUnderLoad(t *testing.T) {
	addr := porttest.Address(t)
	config := func(version string, ports []int) string {
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ","), "[]")
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr,
			backend{processes: 2, version: version, keys: "ports: [" + list + "]"})
	}
	ports := porttest.Free(t, 6)
	r := start(t, config("1", ports[:3]))
	r.awaitReady(t, "a", 2)
	load := startLoad(t, "http://"+addr, 4)
	for _, some := range [][]int{ports[3:], ports[:2], ports[1:4], ports} {
		r.reload(t, config("1", some))
		r.awaitReady(t, "a", 2)
		for _, p := range r.ports("a") {
			if !slices.Contains(some, p.Port) {
				t.Errorf("got port %d, want one of %v", p.Port, some)
			}
		}
	}
	load.end(t)
}

func TestReload_ErrorChangesNothing(t *testing.T) {
	addr, other, admin, taken := porttest.Address(t), porttest.Address(t), porttest.Address(t), listen(t)
	good := fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\nadmin: {listen: %q}", addr, backend{processes: 1, version: "1"}, admin)
	r := start(t, good)
	before := r.awaitReady(t, "a", 1)
	file := filepath.Join(r.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	twoListeners := replaced(quoteGo(addr), quoteGo(addr)+", "+quoteGo(other))
	f := func(name, config, want string) {
		t.Helper()
		err := r.Reload(t.Context(), parse(t, r.dir, config))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", name, err, want)
		}
		if got := r.Status(); got.Loaded.Number != 1 || got.Loaded.LastReload == nil || got.Loaded.LastReload.Error != err.Error() {
			t.Errorf("%s: got generation %+v", name, got.Loaded)
		}
		if got := r.pids("a"); !slices.Equal(got, before) {
			t.Errorf("%s: got processes %v, want those of before, %v", name, got, before)
		}
		if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK || response.Header.Get("X-Version") != "1" {
			t.Errorf("%s: got status %d, version %q", name, response.StatusCode, response.Header.Get("X-Version"))
		}
		if response, _ := ask(t, "http://"+admin+"/status", nil); response.StatusCode != http.StatusOK {
			t.Errorf("%s: got status %d of admin", name, response.StatusCode)
		}
		if !refuses(other) {
			t.Errorf("%s: somebody listens on %s", name, other)
		}
	}
	f("listener", replaced(quoteGo(addr), quoteGo(addr)+", "+quoteGo(other)+", "+quoteGo(taken)), "listen "+taken+": ")
	f("admin", strings.Replace(twoListeners, admin, taken, 1), "admin: listen "+taken)
	f("access log", twoListeners+"\naccess_log: {path: "+quoted(filepath.Join(file, "log"))+"}", "access_log: ")
	f("error log", twoListeners+"\nerror_log: {path: "+quoted(filepath.Join(file, "log"))+"}", "error_log: ")
	f("temp path", twoListeners+"\ntemp_path: "+quoted(filepath.Join(file, "temp")), "temp_path: ")
	f("variable", twoListeners+"\nset_header: {X: $hots}", `unknown variable "$hots"`)
	f("command", strings.Replace(twoListeners, "VERSION: '1'", "VERSION: '2', REFUSE: broken in a way", 1), "broken in a way")
}

// A new backend that does not get ready is no reason to have its site in the air.
func TestReload_NewBackendThatIsNeverReadyIsRefused(t *testing.T) {
	addr, other := porttest.Address(t), porttest.Address(t)
	port := porttest.Free(t, 2)
	config := func(b backend) string {
		return fmt.Sprintf("upstreams: {a: %s, b: %s}\naccess_log: off\nservers:\n"+
			"  - {listen: [%q], locations: [{path: /, pass: a}]}\n  - {listen: [%q], locations: [{path: /, pass: b}]}\n",
			backend{processes: 1, version: "1"}, b, addr, other)
	}
	r := start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{processes: 1, version: "1"}))
	before := r.awaitReady(t, "a", 1)
	keys := func(patience string) string {
		return fmt.Sprintf("ready: {timeout: %s}, ports: [%d, %d]", patience, port[0], port[1])
	}
	f := func(b backend, want string) {
		t.Helper()
		err := r.Reload(t.Context(), parse(t, r.dir, config(b)))
		if err == nil || !strings.Contains(err.Error(), "upstream b: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		if !refuses(other) || !refuses(fmt.Sprintf("127.0.0.1:%d", port[0])) {
			t.Error("somebody listens for a configuration that was refused")
		}
		if got := r.Status(); len(got.Upstreams) != 1 || len(got.Listeners) != 1 || !slices.Equal(r.pids("a"), before) {
			t.Errorf("got %+v", got)
		}
	}
	f(backend{processes: 1, keys: keys("3s"), env: "REFUSE: there is no database"}, "every process has ended before it was ready; the last one to end: exit code 7; its last output: \"there is no database\"")
	f(backend{processes: 1, keys: keys("300ms"), env: "AWAIT: " + quoted(filepath.Join(r.dir, "never"))}, "no process got ready within 300ms")
	// The ports are free again.
	r.reload(t, config(backend{processes: 1, version: "2", keys: keys("60s")}))
	if response, _ := ask(t, "http://"+other, nil); response.Header.Get("X-Version") != "2" {
		t.Errorf("got version %q of the new backend", response.Header.Get("X-Version"))
	}
}

func TestReload_RemovedProcessesEndAfterTheirLastExchange(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	config := func(servers string) string {
		return fmt.Sprintf("upstreams: {a: %s, b: {protocol: http, peers: [%q]}}\naccess_log: off\nadmin: {listen: %q}\n%s",
			backend{processes: 1, version: "1"}, peer(t, "b"), admin, servers)
	}
	r := start(t, config(fmt.Sprintf("servers: [{listen: [%q], locations: [{path: /, pass: a}, {path: /b, pass: b}]}]", addr)))
	r.awaitReady(t, "a", 1)
	ports := r.ports("a")
	file := filepath.Join(r.dir, "go")
	answered := make(chan string, 1)
	go func() { // ends with the answer
		response, err := http.Get("http://" + addr + "/?await=" + file)
		if err != nil {
			answered <- err.Error()
			return
		}
		response.Body.Close()
		answered <- response.Header.Get("X-Version")
	}()
	eventually(t, "the request is at the process", func() bool { return r.Status().Upstreams[0].Peers[0].Inflight == 1 })

	r.reload(t, fmt.Sprintf("upstreams: {b: {protocol: http, peers: [%q]}}\naccess_log: off\nadmin: {listen: %q}\nlisten: [%q]", peer(t, "b"), admin, addr))
	if response, body := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK || body != "b /" {
		t.Errorf("got %d %q of the new configuration", response.StatusCode, body)
	}
	if refuses(fmt.Sprintf("127.0.0.1:%d", portOf(ports, 1))) {
		t.Error("the process has ended before its exchange")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != "1" {
		t.Errorf("got %q, want the answer of the removed process", got)
	}
	r.awaitClosed(t, ports)
	eventually(t, "the series are gone", func() bool {
		_, body := ask(t, "http://"+admin+"/metrics", nil)
		return !strings.Contains(body, `"a"`)
	})
}

// portOf returns the port of a process.
func portOf(ports []*app.ProcessStatus, number int) int {
	for _, p := range ports {
		if p.Number == number {
			return p.Port
		}
	}
	return 0
}

func TestReload_ListenersComeAndGoUnderLoad(t *testing.T) {
	kept, moving, third, admin := porttest.Address(t), porttest.Address(t), porttest.Address(t), porttest.Address(t)
	a, b := peer(t, "a"), peer(t, "b")
	config := func(forB, admin string) string {
		return fmt.Sprintf("upstreams: {a: {protocol: http, peers: [%q]}, b: {protocol: http, peers: [%q]}}\naccess_log: off\n"+
			"admin: {listen: %q}\nservers:\n"+
			"  - {listen: [%q], server_name: [a], locations: [{path: /, pass: a}]}\n"+
			"  - {listen: [%q], server_name: [b], locations: [{path: /, pass: b}]}\n", a, b, admin, kept, forB)
	}
	r := start(t, config(moving, admin))
	load := startLoad(t, "http://"+kept, 4)
	f := func(forB, adminAt, gone string) {
		t.Helper()
		r.reload(t, config(forB, adminAt))
		if _, body := ask(t, "http://"+forB, func(r *http.Request) { r.Host = "b" }); body != "b /" {
			t.Errorf("%s: got %q, want b", forB, body)
		}
		if response, _ := ask(t, "http://"+adminAt+"/status", nil); response.StatusCode != http.StatusOK {
			t.Errorf("got status %d of admin at %s", response.StatusCode, adminAt)
		}
		if gone != "" {
			eventually(t, "nobody listens on "+gone, func() bool { return refuses(gone) })
		}
	}
	other := porttest.Address(t)
	for range 5 {
		f(third, admin, moving)
		f(kept, other, admin)
		f(moving, admin, other)
	}
	f(third, admin, moving)
	f(moving, admin, third)
	load.end(t)
}

func TestReload_ASecondOneWaits(t *testing.T) {
	addr := porttest.Address(t)
	config := func(version, env string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {%s: %s}\naccess_log: off", addr, "v"+version, backend{processes: 1, version: version, env: env})
	}
	r := start(t, config("1", ""))
	file := filepath.Join(r.dir, "go")
	first, second := parse(t, r.dir, config("2", "AWAIT: "+quoted(file))), parse(t, r.dir, config("3", ""))
	ended := make(chan string, 2)
	go func() { ended <- fmt.Sprint("first ", r.Reload(t.Context(), first)) }() // ends when the file is there
	eventually(t, "the first one starts processes", func() bool { return !r.TurnIsFree() })
	waits, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Reload(waits, second); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the wait ends with its context", err)
	}
	go func() { ended <- fmt.Sprint("second ", r.Reload(t.Context(), second)) }() // ends after the first
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := []string{<-ended, <-ended}; !slices.Equal(got, []string{"first <nil>", "second <nil>"}) {
		t.Errorf("got %q", got)
	}
	if response, _ := ask(t, "http://"+addr, nil); response.Header.Get("X-Version") != "3" {
		t.Errorf("got version %q, want that of the last reload", response.Header.Get("X-Version"))
	}
}

func TestStop_EndsAReload(t *testing.T) {
	addr, other := porttest.Address(t), porttest.Address(t)
	r := start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{processes: 1, version: "1"}))
	never := "AWAIT: " + quoted(filepath.Join(r.dir, "never"))
	config := parse(t, r.dir, fmt.Sprintf("listen: [%q, %q]\nupstreams: {b: %s}\naccess_log: off", addr, other, backend{processes: 1, env: never}))
	ended := make(chan error, 1)
	go func() { ended <- r.Reload(t.Context(), config) }() // ends with the stop
	eventually(t, "the reload runs", func() bool { return !refuses(other) })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, app.ErrStopping) {
		t.Errorf("got %v, want %v", err, app.ErrStopping)
	}
	if !refuses(addr) || !refuses(other) {
		t.Error("somebody listens")
	}
	if err := r.Reload(t.Context(), config); !errors.Is(err, app.ErrStopping) {
		t.Errorf("got %v from a reload after the stop", err)
	}
}

func TestReload_LogsAndBudgetsChange(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	config := func(more string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\nadmin: {listen: %q}\n%s", addr, peer(t, "a"), admin, more)
	}
	r := start(t, config("error_log: {path: logs/error.log, level: notice}"))
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(r.dir, "logs", name))
		if err != nil {
			return ""
		}
		return string(text)
	}
	ask(t, "http://"+addr+"/first", nil)
	// An exchange is noted where lines go when it ends, which may be after its client has the answer.
	eventually(t, "the first request is logged", func() bool { return read("access.log") != "" })
	r.reload(t, config("error_log: {path: logs/second.log, level: notice, format: json}\naccess_log: {path: logs/requests.log, format: '$uri'}\n"+
		"memory_budget: 1m\ntemp_budget: 2m\ntemp_path: elsewhere\n"))
	ask(t, "http://"+addr+"/second", nil)
	eventually(t, "the second request is logged", func() bool { return read("requests.log") != "" })
	if got := r.Status(); got.Buffers.Budget != 1<<20 || got.Temp.Budget != 2<<20 {
		t.Errorf("got budgets %d and %d", got.Buffers.Budget, got.Temp.Budget)
	}
	r.reload(t, config("access_log: off\nerror_log: {path: logs/second.log, level: error}"))
	ask(t, "http://"+addr+"/third", nil)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if got := read("access.log"); !strings.Contains(got, "/first") || strings.Contains(got, "/second") {
		t.Errorf("got the first access log %q", got)
	}
	if got := read("requests.log"); strings.TrimSpace(got) != "/second" {
		t.Errorf("got the second access log %q", got)
	}
	if got := read("error.log"); !strings.Contains(got, "[notice]") || strings.Contains(got, "exit") {
		t.Errorf("got the first error log %q", got)
	}
	if got := read("second.log"); !strings.Contains(got, `"configuration reloaded"`) || strings.Contains(got, "shutting down") {
		t.Errorf("got the second error log %q", got)
	}
}

// Who ends the server does not wait until processes that cannot start have gone back to what they were.
func TestStop_EndsAReloadThatMovesProcesses(t *testing.T) {
	addr, gates := porttest.Address(t), t.TempDir()
	config := func(version string) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{
			processes: 2, version: version, env: "AWAIT: " + quoted(filepath.Join(gates, "{process}")), keys: "ready: {timeout: 1h}",
		})
	}
	open := func(gate string) {
		if err := os.WriteFile(filepath.Join(gates, gate), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	shut := func(gate string) {
		if err := os.Remove(filepath.Join(gates, gate)); err != nil {
			t.Fatal(err)
		}
	}
	open("1")
	open("2")
	r := start(t, config("1"))
	before := r.awaitReady(t, "a", 2)
	shut("2")
	next := parse(t, r.dir, config("2"))
	reloaded, stopped := make(chan error, 1), make(chan error, 1)
	go func() { reloaded <- r.Reload(t.Context(), next) }() // ends with the stop
	eventually(t, "the first process has moved and the second tries to", func() bool {
		pids := r.pids("a")
		return len(pids) == 3 && !slices.Contains(pids, before[0]) && slices.Contains(pids, before[1])
	})
	shut("1")                           // nothing gets ready any more, the old version neither
	go func() { stopped <- r.stop() }() // is waited for
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the stop waits for the reload to be undone")
		open("1")
		open("2")
		<-stopped
	}
	if err := <-reloaded; !errors.Is(err, app.ErrStopping) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want %v", err, app.ErrStopping)
	}
}
