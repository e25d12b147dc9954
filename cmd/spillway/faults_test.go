//go:build linux && !race

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What processes do wrong when they start or are to end, and what the error log says of it: where, what and what to do. In
// the lines app/1 is process 1 of the upstream app.

const where = `app/1 \(pid \d+, port \d+\) after \S+: `

// getAsync asks while something else is done.
func (s *site) getAsync(page string) <-chan answer {
	got := make(chan answer, 1)
	go func() { // ends with the answer
		a, err := s.get(page)
		if err != nil {
			a.body = []byte(err.Error())
		}
		got <- a
	}()
	return got
}

// A process that ends before it is ready, or never is, is tried again, and requests wait for the one that is good.
func TestFault_ProcessesThatDoNotStart(t *testing.T) {
	f := func(how, backend, line string) {
		t.Helper()
		t.Run(how, func(t *testing.T) {
			s, admin := startFaulty(t, faulty{how: how, backend: backend, upstream: "hold_timeout: 1h"})
			s.logged(t, "warn", line)
			eventually(t, "it serves", func() bool { return !refuses(s.addr) })
			waiting := s.getAsync("hello")
			eventually(t, "a request waits", func() bool {
				return regexp.MustCompile(`"waiting": ?1\b`).MatchString(s.command(t, "status", "--json").stdout)
			})
			put(t, s.dir, "how", serveWell)
			if a := <-waiting; a.status != http.StatusOK {
				t.Errorf("got %d %q, want that the request has waited", a.status, a.body)
			}
			if n := len(readyPIDs(t, admin)); n != 1 {
				t.Errorf("got %d ready processes, want 1", n)
			}
		})
	}
	const soon, later = "ready: {timeout: 300ms}", "ready: {timeout: 2s}"
	f(exitAtOnce, soon, `process exited: `+where+`exit code 7 before it was ready, reason: exited(, at most \d+ bytes of memory)?; its last output: `+
		regexp.QuoteMeta(lastComplaint))
	f(exitSilently, soon, `process exited: `+where+`exit code 7 before it was ready, without a word; `+
		`run its command by hand in its directory to see why, reason: exited`)
	f(neverListen, soon, `process not ready: `+where+`dial tcp4 .*: connection refused; `+
		`pid \d+ listens on no port; does its command line name \{port\}\?; it is stopped`)
	f(listenWrong, later, `process not ready: `+where+`dial tcp4 .*: connection refused; `+
		`pid \d+ listens on port \d+ instead; its command line or its environment has to name \{port\}; it is stopped`)
	f(warmUpBadly, "ready: {timeout: 2s, warmup: [/warm]}", `process not ready: `+where+
		`warm-up: GET /warm: 503 Service Unavailable; it is stopped`)
}

// A process that ignores the stop signal is killed after stop_timeout, with the processes that it has started.
func TestFault_AStubbornProcessWithAChild(t *testing.T) {
	s, admin := servingFaulty(t, faulty{how: beStubborn, backend: "stop_timeout: 200ms"})
	eventually(t, "its child is there", func() bool { return len(s.children(t, readyPIDs(t, admin)[0])) == 1 })
	old := readyPIDs(t, admin)[0]
	old2 := s.children(t, old)
	s.command(t, "restart", "app").want(t, 0, "the processes of app were replaced in .* s\n", "")
	gone(t, append(old2, old)...)
	s.logged(t, "warn", `process killed: app/1 \(pid `+strconv.Itoa(old)+
		`, port \d+\) had not ended 200ms \(stop_timeout\) after its stop signal; all that it had started is killed, too`)
	s.wantHello(t)
	s.command(t, "quit").want(t, 0, "pid .*\n", "")
	s.checkEnded(t, 0)
}

// children are the processes that a process has started and that still run.
func (s *site) children(t *testing.T, pid int) (found []int) {
	t.Helper()
	for _, child := range s.processes(t) {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil &&
			strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[1] == strconv.Itoa(pid) {
			found = append(found, child)
		}
	}
	return found
}

// Between two starts of a process somebody takes its port: the process goes to a spare one, or waits until it is free.
func TestFault_APortIsStolenBetweenTwoStarts(t *testing.T) {
	f := func(name string, n int) {
		t.Run(name, func(t *testing.T) {
			list, numbers := ports(t, n)
			s, admin := servingFaulty(t, faulty{backend: "ports: " + list, upstream: "hold_timeout: 1h"})
			old := s.wantHello(t)
			put(t, s.dir, "how", listenLater)
			kill(t, old.pid)
			// The next one runs and does not listen yet, so that its port is free for as long as the theft takes.
			eventually(t, "it is being started", func() bool {
				p := peers(t, admin)[0].Process
				return p.State == "starting" && p.PID != old.pid
			})
			thief, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", numbers[0]))
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			thieves := fmt.Sprintf(`\S+ \(pid %d\)`, os.Getpid())
			letGo(t, s.dir)
			// Its doing is seen as that of a stranger, or the process has complained first that it cannot listen.
			s.logged(t, "warn", fmt.Sprintf(`process (?:not ready: %sport %d is answered by %s, which this process has not started; `+
				`end it or choose another port; it is stopped|exited: .*address already in use)`, where, numbers[0], thieves))
			s.logged(t, "warn", fmt.Sprintf(`port taken: app/1: port %d is taken by %s; end it or choose another port: listen .*`, numbers[0], thieves))
			if n == 1 {
				waiting := s.getAsync("hello")
				thief.Close()
				if a := <-waiting; a.status != http.StatusOK {
					t.Errorf("got %d %q, want 200", a.status, a.body)
				}
				return
			}
			eventually(t, "it is back at the spare port", func() bool { return len(readyPIDs(t, admin)) == 1 })
			if a := s.wantHello(t); a.pid != readyPIDs(t, admin)[0] {
				t.Errorf("got an answer of process %d, want %v", a.pid, readyPIDs(t, admin))
			}
		})
	}
	f("with a spare", 2)
	f("without a spare", 1)
}

// A rolling restart stops at the first new process that is no good: the old ones serve on, and who asked is told.
func TestFault_ARestartWithProcessesThatAreNoGood(t *testing.T) {
	s, admin := servingFaulty(t, faulty{processes: "2", backend: "ready: {timeout: 2s, warmup: [/warm]}"})
	l := s.startLoad(4)
	before := readyPIDs(t, admin)
	f := func(how, why string) {
		t.Helper()
		put(t, s.dir, "how", how)
		line := `backend app: restart: process 1: ` + why + `; 0 of 2 processes were replaced, the others are as they were`
		s.command(t, "restart", "app").want(t, 1, "", "spillway: "+line+"\n")
		s.logged(t, "error", "processes not restarted: "+line)
		if after := readyPIDs(t, admin); !slices.Equal(after, before) {
			t.Errorf("%s: got processes %v, want %v", how, after, before)
		}
	}
	f(exitAtOnce, `ended before it was ready: exit code 7: `+regexp.QuoteMeta(lastComplaint))
	f(neverListen, `not ready after \S+: dial .* refused; pid \d+ listens on no port; does its command line name \{port\}\?`)
	f(warmUpBadly, `not ready after \S+: warm-up: GET /warm: 503 Service Unavailable`)
	put(t, s.dir, "how", serveWell)
	s.command(t, "restart", "app").want(t, 0, "the processes of app were replaced in .* s\n", "")
	l.end(t)
}

// With rapid_fail a process that ends again and again is given up: requests fail at once, until somebody restarts it.
func TestFault_RapidFailGivesUp(t *testing.T) {
	s, admin := servingFaulty(t, faulty{backend: `rapid_fail: "3 in 1h"`, upstream: "hold_timeout: 1h"})
	put(t, s.dir, "how", exitAtOnce)
	kill(t, s.wantHello(t).pid)
	s.logged(t, "error", `process given up: app/1 \(port \d+\) has failed 3 times in 1h0m0s \(rapid_fail\): exit code 7; `+
		"its last output: "+regexp.QuoteMeta(lastComplaint)+"; when that is mended, `spillway restart app` starts it")
	eventually(t, "it is shown as failed", func() bool { return peers(t, admin)[0].Process.State == "failed" })
	if a, err := s.get("hello"); err != nil || a.status != http.StatusBadGateway {
		t.Errorf("got %d, %v, want 502 at once", a.status, err)
	}
	s.logged(t, "error", `no live upstreams while connecting to upstream, client: 127\.0\.0\.1, .*request: "GET /hello HTTP/1\.1", upstream: "http://app/hello".*`)
	s.command(t, "restart", "app").want(t, 1, "", "spillway: backend app: restart: process 1: ended before it was ready: .*\n")
	put(t, s.dir, "how", serveWell)
	s.command(t, "restart", "app").want(t, 0, "the processes of app were replaced in .* s\n", "")
	s.wantHello(t)
}
