package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"spillway/cmd/spillway/internal/app"
	"spillway/configs"
	"spillway/upstream/porttest"
)

// running is a started App, which the test's end stops.
type running struct {
	*app.App

	dir string
	out bytes.Buffer // what the operator reads

	stopped bool
}

// start starts a server with a configuration in a folder of its own.
func start(t *testing.T, yaml string) *running {
	t.Helper()
	r := &running{dir: t.TempDir()}
	var err error
	r.App, err = app.Start(t.Context(), app.Options{Config: parse(t, r.dir, yaml), Version: "1.2.3", Out: &r.out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

// stop stops the server, once.
func (r *running) stop() error {
	if r.stopped {
		return nil
	}
	r.stopped = true
	return r.Stop()
}

func parse(t *testing.T, dir, yaml string) *configs.Config {
	t.Helper()
	config, err := configs.Parse(filepath.Join(dir, "spillway.yaml"), []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// peer is an HTTP peer that answers with its name and the path that it was asked for.
func peer(t *testing.T, name string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, name, " ", r.URL.Path)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// ask sends a request on a connection of its own. change may be nil.
func ask(t *testing.T, url string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(request)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestApp_RoutesByListenerHostAndPath(t *testing.T) {
	first, second := porttest.Address(t), porttest.Address(t)
	start(t, fmt.Sprintf(`
upstreams:
  a: {protocol: http, peers: [%q]}
  b: {protocol: http, peers: [%q]}
  c: {protocol: http, peers: [%q]}
servers:
  - listen: [%q]
    server_name: [a.example, "*.a.example"]
    locations: [{path: /, pass: a}, {path: /c/, pass: c}]
  - listen: [%q, %q]
    default_server: true
    server_name: [b.example]
    locations: [{path: /only/, pass: b}]
access_log: off
`, peer(t, "a"), peer(t, "b"), peer(t, "c"), first, first, second))

	f := func(addr, host, path, want string) {
		t.Helper()
		response, body := ask(t, "http://"+addr+path, func(r *http.Request) { r.Host = host })
		if got := fmt.Sprint(response.StatusCode, " ", body); !strings.HasPrefix(got, want) {
			t.Errorf("%s %s: got %q, want %q", host, path, got, want)
		}
	}
	f(first, "a.example", "/x", "200 a /x")
	f(first, "A.Example:8080", "/x", "200 a /x")
	f(first, "www.a.example", "/x", "200 a /x")
	f(first, "a.example", "/c/x", "200 c /c/x")
	f(first, "b.example", "/only/x", "200 b /only/x")
	f(first, "unknown.example", "/only/x", "200 b /only/x")
	f(first, "unknown.example", "/x", "404 <html>")
	f(second, "a.example", "/only/x", "200 b /only/x") // a is not on the second listener
	f(second, "a.example", "/x", "404 <html>")
}

func TestApp_KeepaliveTimeoutZeroClosesAfterEachRequest(t *testing.T) {
	addr := porttest.Address(t)
	f := func(setting string, want bool) {
		t.Helper()
		config := fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\naccess_log: off\n%s", addr, peer(t, "a"), setting)
		r, err := app.Start(t.Context(), app.Options{Config: parse(t, t.TempDir(), config)})
		if err != nil {
			t.Fatal(err)
		}
		if response, _ := ask(t, "http://"+addr, nil); response.Close != want {
			t.Errorf("%q: got close %v, want %v", setting, response.Close, want)
		}
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}
	f("", false)
	f("keepalive_timeout: 0", true)
}

// The fields of /status are read by scripts: one that is renamed or missing breaks them.
func TestApp_StatusHasAllFields(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	up, down := peer(t, "up"), porttest.Address(t)
	start(t, fmt.Sprintf(`
listen: [%q]
upstreams: {a: {protocol: http, peers: [%q, {address: %q, down: true}, {address: %q, backup: true, weight: 3}]}}
access_log: off
memory_budget: 64m
temp_budget: 1g
admin: {listen: %q}
`, addr, up, down, down, admin))
	ask(t, "http://"+addr, nil)
	response, body := ask(t, "http://"+admin+"/status", nil)
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got type %q", got)
	}
	status := map[string]any{}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"version", "pid", "config", "started", "generation", "listeners", "upstreams", "buffers", "temp", "why"} {
		if _, ok := status[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
	// An exchange is finished after the client has its response.
	numbers := regexp.MustCompile(`"(accepted|active|reading|writing|waiting|inflight|in_use|kept|bytes|head_time|response_time)": [\d.e-]+`)
	body = numbers.ReplaceAllString(body, `"$1": N`)
	body = strings.NewReplacer(addr, "ADDR", up, "UP", down, "DOWN").Replace(body)
	_, body, _ = strings.Cut(body, `"listeners"`)
	want := `: [
    {
      "address": "ADDR",
      "accepted": N,
      "active": N,
      "reading": N,
      "writing": N,
      "waiting": N
    }
  ],
  "upstreams": [
    {
      "name": "a",
      "protocol": "http",
      "idle_connections": 0,
      "queue": {
        "waiting": N,
        "length": 0,
        "total": 0,
        "full": 0,
        "timed_out": 0,
        "client_full": 0,
        "seconds": 0,
        "lanes": {
          "bulk": 0,
          "express": 0,
          "normal": 0
        },
        "bulk_slots": 0
      },
      "retries": {
        "recent": 0,
        "allowed": 30,
        "total": 0,
        "denied": 0
      },
      "peers": [
        {
          "address": "UP",
          "state": "up",
          "weight": 1,
          "inflight": N,
          "requests": 1,
          "failures": 0,
          "fails": 0,
          "head_time": N,
          "response_time": N
        },
        {
          "address": "DOWN",
          "state": "down",
          "weight": 1,
          "inflight": N,
          "requests": 0,
          "failures": 0,
          "fails": 0,
          "head_time": N,
          "response_time": N
        },
        {
          "address": "DOWN",
          "state": "up",
          "weight": 3,
          "backup": true,
          "inflight": N,
          "requests": 0,
          "failures": 0,
          "fails": 0,
          "head_time": N,
          "response_time": N
        }
      ]
    }
  ],
  "buffers": {
    "in_use": N,
    "budget": 67108864
  },
  "temp": {
    "in_use": N,
    "budget": 1073741824,
    "files": 0
  },
  "why": {
    "kept": N,
    "keep": 1000,
    "bytes": N,
    "budget": 4194304,
    "path": "/why"
  }
}
`
	if body != want {
		t.Errorf("got %s\nwant %s", body, want)
	}
}

func TestApp_MetricsAreThereFromTheStart(t *testing.T) {
	admin := porttest.Address(t)
	start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\naccess_log: off\nadmin: {listen: %q}\n"+
		"memory_budget: 64m\ntemp_budget: 1g", porttest.Address(t), peer(t, "a"), admin))
	_, body := ask(t, "http://"+admin+"/metrics", nil)
	for _, want := range []string{
		"spillway_buffer_memory_bytes 0", "spillway_buffer_memory_budget_bytes 6.7108864e+07",
		"spillway_temp_disk_bytes 0", "spillway_temp_disk_budget_bytes 1.073741824e+09", "spillway_temp_files 0",
		"spillway_requests_in_flight 0", "spillway_temp_errors_total 0", "spillway_log_lines_dropped_total 0",
		"spillway_accept_errors_total 0", `spillway_upstream_idle_connections{upstream="a"} 0`, "go_goroutines ",
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestApp_AdminRefusesForeignPages(t *testing.T) {
	admin := porttest.Address(t)
	start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\naccess_log: off\nadmin: {listen: %q}",
		porttest.Address(t), peer(t, "a"), admin))
	f := func(path, host, origin string, want int) {
		t.Helper()
		response, _ := ask(t, "http://"+admin+path, func(r *http.Request) {
			r.Host = host
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		if response.StatusCode != want {
			t.Errorf("%s %q %q: got %d, want %d", path, host, origin, response.StatusCode, want)
		}
	}
	for _, path := range []string{"/status", "/metrics"} {
		for _, host := range []string{admin, "127.0.0.1", "localhost", "localhost:9180", "[::1]", "[::1]:9180", "192.0.2.1"} {
			f(path, host, "", 200)
		}
		for _, host := range []string{"evil.example", "evil.example:9180", "localhost.evil.example", "127.0.0.1.evil.example"} {
			f(path, host, "", 403)
		}
		f(path, admin, "http://evil.example", 403)
		f(path, admin, "null", 403)
	}
	f("/", admin, "", 404)
}

// Browsers open connections in store, on which no request may ever come.
func TestApp_StopDoesNotMindAnUnusedConnectionToAdmin(t *testing.T) {
	admin := porttest.Address(t)
	r := start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\naccess_log: off\nadmin: {listen: %q}",
		porttest.Address(t), peer(t, "a"), admin))
	unused, err := net.Dial("tcp", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	ask(t, "http://"+admin+"/status", nil) // it is accepted after the unused one
	if err := r.stop(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestStart_FailsWithoutATrace(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := func(name, listen, admin, more, want string) {
		t.Helper()
		dir := t.TempDir()
		config := parse(t, dir, fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\nadmin: {listen: %q}\n%s",
			listen, peer(t, "a"), admin, more))
		_, err := app.Start(t.Context(), app.Options{Config: config})
		if err == nil {
			t.Errorf("%s: got no error", name)
			return
		}
		if got := err.Error(); !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q, want one line with %q", name, got, want)
		}
		line, err := os.ReadFile(filepath.Join(dir, "logs", "error.log"))
		if text := strings.ReplaceAll(string(line), `\"`, `"`); err != nil || !strings.Contains(text, "[emerg]") || !strings.Contains(text, want) {
			t.Errorf("%s: got the error log %q, %v", name, text, err)
		}
		for _, addr := range []string{listen, admin} {
			if addr == taken.Addr().String() {
				continue
			}
			if socket, err := net.Dial("tcp", addr); err == nil {
				socket.Close()
				t.Errorf("%s: somebody listens on %s", name, addr)
			}
		}
	}
	f("listen", taken.Addr().String(), porttest.Address(t), "", "listen "+taken.Addr().String())
	f("admin", porttest.Address(t), taken.Addr().String(), "", "admin: listen "+taken.Addr().String())
	// A file stands where a folder should.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f("temp_path", porttest.Address(t), porttest.Address(t), "temp_path: '"+filepath.Join(file, "temp")+"'", "temp_path: ")
	f("access_log", porttest.Address(t), porttest.Address(t), "access_log: {path: '"+filepath.Join(file, "log")+"'}", "access_log: ")
	f("variable", porttest.Address(t), porttest.Address(t), "set_header: {X: $hots}", `unknown variable "$hots"`)
}

func TestStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	addr := porttest.Address(t)
	config := parse(t, t.TempDir(), fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\naccess_log: off", addr, peer(t, "a")))
	if _, err := app.Start(ctx, app.Options{Config: config}); err == nil || err.Error() != context.Canceled.Error() {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if socket, err := net.Dial("tcp", addr); err == nil {
		socket.Close()
		t.Error("somebody listens")
	}
}

func TestApp_AnnouncesWhatRuns(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	r := start(t, fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\nadmin: {listen: %q}", addr, peer(t, "a"), admin))
	want := `spillway 1.2.3, configuration: DIR/spillway.yaml
  serving     http://ADDR
  status      http://ADMIN/status
  metrics     http://ADMIN/metrics
  error log   DIR/logs/error.log
  access log  DIR/logs/access.log
Ctrl+C stops it: requests that run are finished first. Once more ends it at once.
`
	got := strings.NewReplacer(r.dir, "DIR", addr, "ADDR", admin, "ADMIN", `\`, "/").Replace(r.out.String())
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheck_NamesEveryProblemInTheOrderOfTheLines(t *testing.T) {
	dir := t.TempDir()
	config := parse(t, dir, `upstreams:
  a:
    protocol: fastcgi
    params: {X: $remote_adr}
    backend: {command: [spillway-no-such-program, "{port}"], processes: 1}
  b: {method: hash $request_url consistent, peers: ["127.0.0.1:9001"]}
servers:
  - listen: ["127.0.0.1:8080"]
    locations:
      - {path: /, pass: a, set_header: {X-A: $sheme, X-B: $scheme}}
      - {path: /inherits/, pass: a}
access_log: {path: log, format: "$remote_addr $stauts"}
`)
	var got strings.Builder
	for _, p := range app.Check(config, nil) {
		line, _, _ := strings.Cut(strings.TrimPrefix(p.String(), filepath.Join(dir, "")+string(filepath.Separator)), " in ")
		got.WriteString(line + "\n")
	}
	want := `spillway.yaml:4: upstreams.a.params.X: unknown variable "$remote_adr"; did you mean $remote_addr?
spillway.yaml:5: upstreams.a.backend.command: exec: "spillway-no-such-program": executable file not found
spillway.yaml:6: upstreams.b.method: unknown variable "$request_url"; did you mean $request_uri?
spillway.yaml:10: servers[0].locations[0].set_header.X-A: unknown variable "$sheme"; did you mean $scheme?
spillway.yaml:12: access_log.format: unknown variable "$stauts"; did you mean $status?
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
