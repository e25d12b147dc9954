//go:build linux && !race

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"spillway/upstream/porttest"
)

// The life of the program as its operator sees it: what it says when it does not start, what signals do, what /status shows.
// Its processes are those of the demo.

// demoBackend is a backend of demo processes in YAML. Each starts to listen when the file "go" is in the folder.
func demoBackend(processes int) string {
	script := fmt.Sprintf("until test -e go; do sleep 0.02; done; exec %s demo-process {port} {process}", program)
	return fmt.Sprintf("{command: [sh, -c, %s], processes: %d, ports: auto, backoff_min: 10ms}", quoted(script), processes)
}

func letGo(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startDemo starts the program with demo processes, and waits until it serves when the processes may listen.
func startDemo(t *testing.T, backend, more string) (s *site, admin string) {
	t.Helper()
	dir, addr, admin := t.TempDir(), porttest.Address(t), porttest.Address(t)
	s = startProgram(t, dir, addr, fmt.Sprintf("listen: [%q]\nadmin: {listen: %q}\nupstreams:\n  demo:\n    protocol: fastcgi\n    backend: %s\n%s",
		addr, admin, backend, more))
	return s, admin
}

func (s *site) awaitHello(t *testing.T) {
	t.Helper()
	eventually(t, "the program serves", func() bool {
		a, err := s.get("")
		if s.hasEnded() {
			t.Fatal("the program has ended")
		}
		return err == nil && a.status == http.StatusOK
	})
}

// peerStatus is a peer in /status.
type peerStatus struct {
	Address, State     string
	Requests, Inflight int
	Process            *struct {
		Number, PID, Starts, Exits, Restarts int
		State, Since                         string
		LastExit                             *string `json:"last_exit"`
	}
}

func peers(t *testing.T, admin string) []peerStatus {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status struct {
		Upstreams []struct{ Peers []peerStatus }
	}
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status.Upstreams[0].Peers
}

// refuses says whether nobody listens on the address.
func refuses(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

func (s *site) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// checkEnded says what is left of a program that should have left nothing.
func (s *site) checkEnded(t *testing.T, want int) {
	t.Helper()
	if got := s.waitEnd(t); got != want {
		t.Errorf("got exit status %d, want %d", got, want)
	}
	if left := s.processes(t); len(left) > 0 {
		t.Errorf("processes %v still run", left)
	}
	if !refuses(s.addr) {
		t.Error("somebody still listens")
	}
}

func TestDemo_EightProcessesAnswer(t *testing.T) {
	const url, admin = "http://127.0.0.1:8080", "127.0.0.1:9180"
	if !refuses("127.0.0.1:8080") || !refuses(admin) {
		t.Skip("another program has the demo's ports")
	}
	s := &site{dir: t.TempDir(), addr: "127.0.0.1:8080", url: url, client: http.DefaultClient, ended: make(chan struct{})}
	s.mark = "SPILLWAY_E2E=" + s.dir
	s.run(t, exec.Command(program))
	s.awaitHello(t)

	number := regexp.MustCompile(`<b>process (\d)</b> of eight, pid (\d+), on port (\d+)`)
	seen := map[string]bool{}
	eventually(t, "all eight have answered", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body)
		found := number.FindSubmatch(page)
		if resp.StatusCode != http.StatusOK || found == nil || string(found[1]) != resp.Header.Get("X-Demo-Process") {
			t.Fatalf("got %d %q", resp.StatusCode, page)
		}
		seen[string(found[1])] = true
		return len(seen) == 8
	})
	if got := peers(t, admin); len(got) != 9 {
		t.Errorf("got %d peers, want 8 and a spare", len(got))
	}
	s.signal(t, os.Interrupt)
	s.checkEnded(t, 0)
	for _, want := range []string{"configuration: built-in demo", "serving     http://127.0.0.1:8080", "http://127.0.0.1:9180/status"} {
		if !strings.Contains(s.output.String(), want) {
			t.Errorf("%q is missing in %s", want, s.output.String())
		}
	}
}

func TestRun_FailsWithOneLine(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	free := porttest.Address(t)
	_, freePort, _ := net.SplitHostPort(free)
	good := fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: fastcgi, backend: {command: [%s, demo-process, '{port}', '{process}'], processes: 1}}}\n",
		free, program)
	replaced := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	tests := []struct {
		name, config, want string
		logged             bool
	}{
		{"listen address in use", replaced(free, taken.Addr().String()), "spillway: listen " + taken.Addr().String() + ": address already in use; spillway.test (pid ", true},
		{"listen address in use, log at the terminal", replaced(free, taken.Addr().String()) + "error_log: {path: stderr, level: notice}", "spillway: listen ", false},
		{"admin address in use", good + "admin: {listen: '" + taken.Addr().String() + "'}", "spillway: admin: listen " + taken.Addr().String(), true},
		{"process port taken", replaced("processes: 1", "processes: 1, ports: ["+takenPort+"]"), "spillway: backend a: port " + takenPort + " is taken", true},
		{"second backend's port taken", replaced("}}}\n", "}}, b: {protocol: http, backend: {command: [sleep, '9', '{port}'], processes: 1, ports: ["+takenPort+"]}}}\n"+
			"servers: [{listen: ['"+free+"'], locations: [{path: /, pass: a}, {path: /b/, pass: b}]}]\n"), "spillway: backend b: port " + takenPort + " is taken", true},
		{"own port for a process", replaced("processes: 1", "processes: 1, ports: ["+freePort+"]"), freePort, false},
		{"unwritable temp folder", good + "temp_path: /proc/temp", "spillway: temp_path: temp path /proc/temp: ", true},
		{"unwritable access log", good + "access_log: {path: /proc/access.log}", "spillway: access_log: ", true},
		{"unwritable error log", good + "error_log: {path: /proc/error.log}", "spillway: error_log: ", false},
		{"missing command", replaced(program, "spillway-no-such-program"), `upstreams.a.backend.command: exec: "spillway-no-such-program"`, false},
		{"missing directory", replaced("processes: 1", "processes: 1, directory: nowhere"), "upstreams.a.backend.directory: open ", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := tt.config
			if strings.Contains(config, "servers:") {
				config = config[strings.Index(config, "\n")+1:] // instead of the short form
			}
			s := startProgram(t, t.TempDir(), free, config)
			s.checkEnded(t, 1)
			said := strings.TrimSuffix(s.output.String(), "\n")
			if strings.Contains(said, "\n") || !strings.Contains(said, tt.want) {
				t.Errorf("got %q, want one line with %q", said, tt.want)
			}
			if got := strings.Contains(s.errorLog(), "[emerg]"); got != tt.logged {
				t.Errorf("got the error log %q, want the failure in it: %v", s.errorLog(), tt.logged)
			}
		})
	}
}

// A program that ends at once is not a failure to start: its supervisor goes on trying, and clients get a 502, unless they are
// held for a while.
func TestRun_ServesWithoutAnyProcess(t *testing.T) {
	s, admin := startDemo(t, "{command: [sh, -c, 'exit 7 # {port}'], processes: 2, backoff_min: 10ms, ready: {timeout: 200ms}}\n    hold_timeout: 0", "")
	eventually(t, "clients are answered", func() bool {
		a, err := s.get("")
		return err == nil && a.status == http.StatusBadGateway
	})
	for _, p := range peers(t, admin) {
		if p.State == "away" && p.Process.State == "idle" {
			continue // the spare port
		}
		if p.State != "coming" || *p.Process.LastExit != "exit code 7" || p.Process.Exits == 0 {
			t.Errorf("got %s, %d exits, the last with %s", p.State, p.Process.Exits, *p.Process.LastExit)
		}
	}
	s.signal(t, syscall.SIGQUIT)
	s.checkEnded(t, 0)
	if !strings.Contains(s.output.String(), "none is ready, see the error log") {
		t.Errorf("got %s", s.output.String())
	}
}

func TestRun_ClientsWaitForTheFirstProcess(t *testing.T) {
	s, admin := startDemo(t, demoBackend(2), "")
	eventually(t, "the processes are being started", func() bool { return !refuses(admin) && !refuses(s.addr) })
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	eventually(t, "they are shown as starting", func() bool {
		p := peers(t, admin)
		return p[0].State == "coming" && p[0].Process.State == "starting" && p[1].Process.State == "starting"
	})
	letGo(t, s.dir)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v, want 200", resp, err)
	}
}

func TestRun_ASignalEndsTheStart(t *testing.T) {
	s, admin := startDemo(t, demoBackend(2), "")
	eventually(t, "the processes are being started", func() bool {
		return !refuses(admin) && peers(t, admin)[1].Process.State == "starting"
	})
	s.signal(t, syscall.SIGQUIT)
	s.checkEnded(t, 0)
	if s.output.Len() > 0 {
		t.Errorf("got %q, want nothing", s.output.String())
	}
	if log := s.errorLog(); strings.Contains(log, "[emerg]") {
		t.Errorf("got a failure in the error log: %s", log)
	}
}

func TestRun_ACrashedProcessGetsNoRequestUntilItIsBack(t *testing.T) {
	s, admin := startDemo(t, demoBackend(2), "")
	letGo(t, s.dir)
	s.awaitHello(t)
	ready := func() bool { p := peers(t, admin); return p[0].State == "up" && p[1].State == "up" }
	eventually(t, "both are ready", ready)
	before := peers(t, admin)

	if err := os.Remove(filepath.Join(s.dir, "go")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before[0].Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is being started again", func() bool { return peers(t, admin)[0].Process.State == "starting" })
	crashed := peers(t, admin)[0]
	if crashed.State != "coming" || crashed.Process.Exits != 1 || crashed.Process.Restarts != 1 || crashed.Process.Starts != 2 ||
		*crashed.Process.LastExit != "signal SIGKILL" || crashed.Process.PID == before[0].Process.PID {
		t.Errorf("got %+v, last exit %s", *crashed.Process, *crashed.Process.LastExit)
	}
	for range 20 {
		if a, err := s.get(""); err != nil || a.status != http.StatusOK || !bytes.Contains(a.body, []byte("process 2")) {
			t.Fatalf("got %d %q, %v, want process 2", a.status, a.body, err)
		}
	}
	if got := peers(t, admin)[0].Requests; got != crashed.Requests {
		t.Errorf("got %d requests, %d before", got, crashed.Requests)
	}
	letGo(t, s.dir)
	eventually(t, "it is back", ready)
}

// startDownload begins to read a response that is too large for the sockets' buffers.
func (s *site) startDownload(t *testing.T) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /big?mb=32 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, resp
}

func TestRun_ASignalLetsRunningExchangesEnd(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGQUIT} {
		t.Run(fmt.Sprint(signal), func(t *testing.T) {
			s, _ := startDemo(t, demoBackend(1), "")
			letGo(t, s.dir)
			s.awaitHello(t)
			_, resp := s.startDownload(t)
			s.signal(t, signal)
			eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
			if s.hasEnded() {
				t.Fatal("the program has ended before the exchange")
			}
			if n, err := io.Copy(io.Discard, resp.Body); n != 32<<20 || err != nil {
				t.Errorf("got %d bytes, %v, want all", n, err)
			}
			s.checkEnded(t, 0)
		})
	}
}

func TestRun_ShutdownTimeoutCutsTheRest(t *testing.T) {
	s, _ := startDemo(t, demoBackend(1), "shutdown_timeout: 50ms\n")
	letGo(t, s.dir)
	s.awaitHello(t)
	_, resp := s.startDownload(t)
	s.signal(t, syscall.SIGQUIT)
	s.checkEnded(t, 0)
	if n, err := io.Copy(io.Discard, resp.Body); n == 32<<20 || err == nil {
		t.Errorf("got %d bytes, %v, want less", n, err)
	}
	if !strings.Contains(s.errorLog(), "[warn]") || !strings.Contains(s.errorLog(), "running exchanges were cut") {
		t.Errorf("got the error log %s", s.errorLog())
	}
}

func TestRun_ASecondSignalEndsAtOnce(t *testing.T) {
	s, _ := startDemo(t, demoBackend(2), "shutdown_timeout: 1h\n")
	letGo(t, s.dir)
	s.awaitHello(t)
	s.startDownload(t)
	s.signal(t, syscall.SIGINT)
	eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
	s.signal(t, syscall.SIGINT)
	s.waitEnd(t)
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("got %v, want the signal's default effect", s.cmd.ProcessState)
	}
	eventually(t, "the processes have ended", func() bool { return len(s.processes(t)) == 0 })
}
