//go:build linux && !race

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"spillway/proxy"
	"spillway/proxy/why"
)

// What happens to processes while clients are served, which must not see it.

// All processes end at once: requests wait for the next ones, and none fails.
func TestFault_AllProcessesAreKilledUnderLoad(t *testing.T) {
	s, admin := servingFaulty(t, faulty{processes: "4"})
	l := s.startLoad(8)
	eventually(t, "all processes answer the load", func() bool { return len(l.answered()) == 4 })
	before := readyPIDs(t, admin)
	kill(t, before...)
	eventually(t, "all new processes answer the load", func() bool { return len(l.answered()) == 8 })
	l.end(t)
	s.logged(t, "warn", `process exited: app/4 \(pid \d+, port \d+\) after \S+: signal SIGKILL, reason: exited`)
}

// A page whose process closes the connection is answered at once: the process lives, and nobody waits for its successor. One whose
// process ends with it waits for the next process.
func TestFault_AClosedConnectionIsNoEnd(t *testing.T) {
	f := func(processes, page string, attempts int, waits bool) {
		t.Helper()
		s, _ := servingFaulty(t, faulty{processes: processes, more: whyLog})
		failed := s.ask(page)
		var report why.Report
		if err := json.Unmarshal([]byte(s.command(t, "why", "--json", failed.id).stdout), &report); err != nil {
			t.Fatal(err, failed)
		}
		if len(report.Attempts) != attempts || (report.Queued > 0) != waits {
			t.Errorf("%s at %s: got %+v, want %d attempts, and that it waits: %v", page, processes, report, attempts, waits)
		}
		if waits != (report.Cause == proxy.CausePoison) || failed.err != nil {
			t.Errorf("%s at %s: got %s, %v", page, processes, report.Cause, failed.err)
		}
	}
	f("1", "close", 1, false)
	f("2", "close", 2, false)
	f("1", "crash", 3, true) // at two processes; then it is refused
}

// A process is stuck with a request: the request is answered, and the process is replaced.
func TestFault_AStuckProcessIsReplaced(t *testing.T) {
	s, admin := servingFaulty(t, faulty{backend: "busy_timeout: 2s"})
	stuck := readyPIDs(t, admin)[0]
	if a, err := s.get("stuck"); err != nil || a.status != http.StatusGatewayTimeout {
		t.Errorf("got %d, %v, want 504", a.status, err)
	}
	s.logged(t, "error", `request took longer than busy_timeout \(2s\), the process is stopped, client: 127\.0\.0\.1, .*`+
		`request: "GET /stuck HTTP/1\.1", upstream: "http://127\.0\.0\.1:\d+/stuck".*`)
	s.logged(t, "warn", `process exited: app/1 \(pid `+strconv.Itoa(stuck)+`, port \d+\) after \S+: signal SIGKILL, reason: busy_timeout`)
	if a := s.wantHello(t); a.pid == stuck {
		t.Errorf("process %d answers", a.pid)
	}
}

// Processes that are used up are replaced, and no request notices.
func TestFault_UsedUpProcessesAreReplacedUnderLoad(t *testing.T) {
	f := func(limit, line string, use func(s *site)) {
		t.Helper()
		t.Run(limit, func(t *testing.T) {
			s, admin := servingFaulty(t, faulty{processes: "2", backend: limit})
			before := readyPIDs(t, admin)
			l := s.startLoad(4)
			use(s)
			eventually(t, "each process was replaced that was used up", func() bool {
				left := slices.ContainsFunc(before, func(pid int) bool { return slices.Contains(readyPIDs(t, admin), pid) })
				return len(l.answered()) >= 4 && !left
			})
			l.end(t)
			s.logged(t, "notice", `process draining, backend: app, process: \d, port: \d+, pid: \d+, reason: `+line)
		})
	}
	f("max_requests: 200", "max_requests", func(*site) {})
	f("max_age: 1s", "max_age", func(*site) {})
	f("max_memory: 150m", "max_memory", func(s *site) {
		eaten := map[int]bool{}
		for range 2 {
			eventually(t, "another process has become large", func() bool {
				a, err := s.get("eat")
				if err != nil || a.status != http.StatusOK {
					t.Errorf("got %d, %v", a.status, err)
				}
				before := len(eaten)
				eaten[a.pid] = true
				return len(eaten) > before
			})
		}
		s.logged(t, "warn", `process too large: app/\d \(pid \d+, port \d+\) has \d+ bytes of memory, more than max_memory \(157286400\); it is replaced`)
	})
}

// php-cgi ends by itself after a number of requests, with others in its backlog. It is replaced before; where nobody knows that
// it is php-cgi, what it has not served is asked of another.
func TestFault_PHPEndsByItself(t *testing.T) {
	f := func(name, command, backend string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			k := kinds[0]
			k.command, k.backend = command, backend
			s := startSite(t, k, 4)
			l := s.startLoad(8)
			eventually(t, "5000 requests are answered", func() bool { return l.asked.Load() >= 5000 })
			l.end(t)
			if n := len(l.answered()); n < 8 {
				t.Errorf("got answers of %d processes, want that all four were replaced", n)
			}
			if command != kinds[0].command {
				s.logged(t, "warn", `process exited: app/\d \(pid \d+, port \d+\) after \S+: exit code 0, reason: exited`)
			}
		})
	}
	f("it is replaced before", kinds[0].command, "max_requests: 500\n      env: {PHP_FCGI_MAX_REQUESTS: 1100}")
	f("nobody knows", `[sh, -c, "exec php-cgi -b 127.0.0.1:{port}"]`, "env: {PHP_FCGI_MAX_REQUESTS: 500}")
}

// The number of processes follows the load, up and down.
func TestFault_TheNumberOfProcessesFollowsTheLoad(t *testing.T) {
	s, admin := servingFaulty(t, faulty{processes: `{min: 1, max: 3, spare: 0-1, idle: 1s}`, upstream: "concurrency: 1"})
	var waiting []<-chan answer
	for range 3 {
		waiting = append(waiting, s.getAsync("await?file=go"))
	}
	eventually(t, "there are three", func() bool { return len(readyPIDs(t, admin)) == 3 })
	letGo(t, s.dir)
	for _, a := range waiting {
		if a := <-a; a.status != http.StatusOK {
			t.Errorf("got %d %q, want 200", a.status, a.body)
		}
	}
	eventually(t, "there is one", func() bool { return len(readyPIDs(t, admin)) == 1 })
	s.logged(t, "notice", `process stopping, backend: app, process: 3, port: \d+, pid: \d+, reason: idle`)
	s.wantHello(t)
}

// A process writes without newlines as fast as it can: neither memory nor disk nor the error log suffer, nor do requests.
func TestFault_OutputWithoutNewlines(t *testing.T) {
	s, _ := servingFaulty(t, faulty{
		how: writeTooMuch, backend: "output: {path: 'out-{process}.log', rotate: {size: 1m, keep: 2}}",
	})
	l := s.startLoad(2)
	eventually(t, "the process has written all", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "written"))
		return err == nil
	})
	l.end(t)
	s.logged(t, "notice", `app/1 \(pid \d+\) stdout: x+\.\.\.`)
	s.logged(t, "notice", "process output left out: app/1 wrote \\d+ more lines than fit here; `output:` of the backend has a file for all")
	if n := len(s.errorLog()); n > 1<<20 {
		t.Errorf("the error log has %d bytes", n)
	}
	if most := s.peakMemory(t); most > 256<<20 {
		t.Errorf("got %d MiB of memory at most, want less", most>>20)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "out-1.log*"))
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	if total > 8<<20 {
		t.Errorf("got %d files with %d MiB, want three with 1 MiB each", len(files), total>>20)
	}
	s.command(t, "quit").want(t, 0, "pid .*\n", "")
	s.checkEnded(t, 0)
}

// peakMemory is what the program had at most.
func (s *site) peakMemory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("no peak in %s", text)
	}
	kilobytes, _ := strconv.Atoi(string(found[1]))
	return kilobytes << 10
}
