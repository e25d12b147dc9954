//go:build linux && !race

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"spillway/upstream/porttest"
)

// said is what a command printed and its exit status.
type said struct {
	stdout, stderr string
	exit           int
}

// command gives a command for the site's configuration.
func (s *site) command(t *testing.T, args ...string) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, append(args, "-c", filepath.Join(s.dir, "spillway.yaml"))...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var failure *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failure) {
		t.Fatal(err)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// want compares what was said; an output that is to be empty is.
func (got said) want(t *testing.T, exit int, stdout, stderr string) {
	t.Helper()
	match := func(what, got, pattern string) {
		t.Helper()
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("%s: got %q, want %s", what, got, pattern)
		}
	}
	match("stdout", got.stdout, stdout)
	match("stderr", got.stderr, stderr)
	if got.exit != exit {
		t.Errorf("got exit status %d, want %d", got.exit, exit)
	}
}

// sockets are those of running instances.
func sockets(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "*.sock"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// serving starts a program with demo processes that serves.
func serving(t *testing.T, processes int, more string) *site {
	t.Helper()
	s, _ := startDemo(t, demoBackend(processes), more)
	letGo(t, s.dir)
	s.awaitHello(t)
	return s
}

func TestControl_ASecondInstance(t *testing.T) {
	s := serving(t, 1, "")
	s.command(t, "run").want(t, 1, "", fmt.Sprintf(
		"spillway: pid %d runs %s/spillway.yaml since 20[-0-9: ]+ already; see it with `spillway status -c .*`, end it with `spillway stop -c .*`\n",
		s.cmd.Process.Pid, s.dir))
	if a, err := s.get(""); err != nil || a.status != http.StatusOK {
		t.Errorf("got %d, %v, want that the first one serves on", a.status, err)
	}
}

func TestControl_TakesOverAfterAKill(t *testing.T) {
	s := serving(t, 1, "")
	s.signal(t, syscall.SIGKILL)
	s.waitEnd(t)
	s.command(t, "status").want(t, 1, "", "spillway: no spillway runs with .*; start it with .*\n")
	eventually(t, "the processes have ended", func() bool { return len(s.processes(t)) == 0 })

	next := &site{dir: s.dir, addr: s.addr, url: s.url, mark: s.mark, client: s.client, ended: make(chan struct{})}
	next.run(t, exec.Command(program, "-c", filepath.Join(s.dir, "spillway.yaml")))
	next.awaitHello(t)
	next.command(t, "quit").want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; no request was cut\n", "")
}

func TestControl_TheSocketIsForItsAccount(t *testing.T) {
	serving(t, 1, "")
	found := sockets(t)
	if len(found) == 0 {
		t.Fatal("no socket")
	}
	for _, path := range append(found, filepath.Dir(found[0])) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: got %v, %v, want nothing for others", path, info.Mode(), err)
		}
	}
}

func TestControl_Status(t *testing.T) {
	s := serving(t, 2, "")
	eventually(t, "both processes are ready", func() bool {
		return strings.Count(s.command(t, "status").stdout, " ready ") == 2
	})
	s.command(t, "status").want(t, 0, fmt.Sprintf(`(?s)spillway 0\S+, pid %d, serving since 20[-0-9: ]+ \(\d+s\), configuration %s/spillway.yaml

LISTENER +CLIENTS +READING +WRITING +WAITING +ACCEPTED
%s +\d+ .*

upstream demo \(fastcgi\): \d+ in flight, \d+ idle connections, 0 of \d+ waiting .*
PROCESS +PORT +PID +STATE +SINCE +REQUESTS +IN FLIGHT .*
1 +\d+ +\d+ +ready +\d+s +\d+ .*
2 +\d+ +\d+ +ready +\d+s +\d+ .*

buffers .* of .*, spill files 0 with 0 B of .*
`, s.cmd.Process.Pid, s.dir, s.addr), "")

	var status struct {
		PID       int
		Phase     string
		Upstreams []struct{ Peers []peerStatus }
	}
	if err := json.Unmarshal([]byte(s.command(t, "status", "--json").stdout), &status); err != nil {
		t.Fatal(err)
	}
	if status.PID != s.cmd.Process.Pid || status.Phase != "serving" || len(status.Upstreams[0].Peers) < 2 {
		t.Errorf("got %+v", status)
	}
}

// After a restart the spare port is between those of the processes.
func TestControl_StatusStaysAlignedAroundASpare(t *testing.T) {
	s := serving(t, 2, "")
	s.command(t, "restart").want(t, 0, "all processes were replaced in .*\n", "")
	_, table, _ := strings.Cut(s.command(t, "status").stdout, "\nPROCESS")
	header, rows, _ := strings.Cut("PROCESS"+table, "\n")
	rows, _, _ = strings.Cut(rows, "\n\n")
	if !regexp.MustCompile(`^\d.*\nspare .*\n\d`).MatchString(rows) {
		t.Fatalf("got %q, want a spare between two processes", rows)
	}
	column := strings.Index(header, "LAST EXIT")
	for row := range strings.SplitSeq(rows, "\n") {
		if !strings.HasPrefix(row, "spare") && (len(row) <= column || row[column-1] != ' ' || row[column] == ' ') {
			t.Errorf("got a row that is not below its header:\n%s\n%s", header, row)
		}
	}
}

// A file that is half written, or gone, costs no request.
func TestControl_ReloadOfABrokenFile(t *testing.T) {
	s := serving(t, 1, "")
	file := filepath.Join(s.dir, "spillway.yaml")
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f := func(content string) said {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got := s.command(t, "reload")
		if a, err := s.get(""); err != nil || a.status != http.StatusOK {
			t.Errorf("got %d, %v, want that the old configuration serves", a.status, err)
		}
		return got
	}
	f(string(right)+"acess_log: off\nbogus: 1\n").want(t, 1, "", `(\S+spillway.yaml:\d+: .*unknown key.*\n){2}`)
	f(string(right[:len(right)/2])).want(t, 1, "", `(\S+spillway.yaml:\d+: .*\n)+`)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.command(t, "reload").want(t, 1, "", "spillway: configuration: open .*spillway.yaml: no such file or directory\n")
	s.signal(t, syscall.SIGHUP) // the same, but for the place of the complaint
	s.command(t, "status").want(t, 0, "(?s)spillway .*", "")
}

func TestControl_RestartOfWhatIsNotThere(t *testing.T) {
	s := serving(t, 1, "")
	s.command(t, "restart", "dmeo").want(t, 1, "", "spillway: no such upstream with processes: \"dmeo\"; there are: demo\n")
}

func TestControl_QuitWaitsForTheEnd(t *testing.T) {
	s := serving(t, 1, "")
	_, resp := s.startDownload(t)
	quit := make(chan said)
	go func() { quit <- s.command(t, "quit") }() // ends with the program
	eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
	s.command(t, "status").want(t, 0, "(?s).*, ending since .*", "")
	if n, err := io.Copy(io.Discard, resp.Body); n != 32<<20 || err != nil {
		t.Errorf("got %d bytes, %v, want all", n, err)
	}
	(<-quit).want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; no request was cut\n", "")
	s.checkEnded(t, 0)
	s.command(t, "stop").want(t, 1, "", "spillway: no spillway runs with .*\n")
	s.checkNoSocket(t)
}

// checkNoSocket says whether the socket is gone; other tests may have left theirs by a kill.
func (s *site) checkNoSocket(t *testing.T) {
	t.Helper()
	for _, path := range sockets(t) {
		text, err := os.ReadFile(path + ".lock")
		if err == nil && bytes.Contains(text, []byte(s.dir+"/")) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left, %v", path, err)
		}
	}
}

// During the start, too, commands mean what they say.
func TestControl_QuitDuringTheStart(t *testing.T) {
	s, admin := startDemo(t, demoBackend(2), "")
	eventually(t, "the processes are being started", func() bool {
		return !refuses(admin) && peers(t, admin)[1].Process.State == "starting"
	})
	s.command(t, "status").want(t, 0, "spillway 0[^,]+, pid [0-9]+, starting since .*\n", "")
	reload := make(chan said)
	go func() { reload <- s.command(t, "reload") }() // ends with the program
	s.command(t, "quit").want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; no request was cut\n", "")
	got := <-reload
	if got.exit != 1 || got.stderr == "" {
		t.Errorf("got %+v, want an error", got)
	}
	s.checkEnded(t, 0)
}

func TestControl_ASecondQuitJoinsTheFirst(t *testing.T) {
	s := serving(t, 1, "shutdown_timeout: 1s\n")
	s.startDownload(t)
	both := make(chan said)
	for range 2 {
		go func() { both <- s.command(t, "quit") }() // ends with the program
	}
	for range 2 {
		if got := <-both; got.exit != 0 || !strings.Contains(got.stdout, "has ended after ") {
			t.Errorf("got %+v", got)
		}
	}
}

// An account that may not give commands is told which one may.
func TestControl_AnotherAccountIsToldWhoMay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "ctl") //nolint:usetesting // the other account must get at it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	public, addr := filepath.Join(dir, "spillway"), porttest.Address(t)
	config := fmt.Sprintf("listen: [%q]\nupstreams: {a: {protocol: http, peers: [%q]}}\ntemp_path: %s/temp\n", addr, porttest.Address(t), t.TempDir())
	err = errors.Join(os.WriteFile(public, binary, 0o755), os.Chmod(dir, 0o755), //nolint:gosec // see above
		os.WriteFile(filepath.Join(dir, "spillway.yaml"), []byte(config), 0o644)) //nolint:gosec // see above
	if err != nil {
		t.Fatal(err)
	}
	f := func(control, want string) {
		t.Helper()
		config := config + "access_log: off\nerror_log: {path: stderr}\n" + control
		if err := os.WriteFile(filepath.Join(dir, "spillway.yaml"), []byte(config), 0o644); err != nil { //nolint:gosec // see above
			t.Fatal(err)
		}
		t.Setenv("RUNTIME_DIRECTORY", "") // the usual places
		s := &site{dir: dir, addr: addr, mark: "SPILLWAY_E2E=" + dir, client: http.DefaultClient, ended: make(chan struct{})}
		s.run(t, exec.Command(program, "-c", filepath.Join(dir, "spillway.yaml")))
		eventually(t, "it serves", func() bool { return !refuses(addr) })
		var stderr bytes.Buffer
		other := exec.CommandContext(t.Context(), public, "quit")
		other.Dir, other.Stderr = dir, &stderr
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := other.Run(); err == nil {
			t.Error("another account could give a command")
		}
		said{stderr: stderr.String()}.want(t, 0, "", want)
		s.command(t, "stop").want(t, 0, "pid .*\n", "")
	}
	f("", "spillway: no spillway runs with .* that this account can see; one of root could: give the command as root, or start one with `spillway run`\n")
	f("control: site.sock\n", "spillway: no access to "+dir+"/site.sock: give the command as root\n")
}

func TestControl_StopAndSIGTERMAreTheSame(t *testing.T) {
	s := serving(t, 1, "")
	s.command(t, "stop").want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; no request was cut\n", "")
	s.checkEnded(t, 0)
	s = serving(t, 1, "")
	s.signal(t, syscall.SIGTERM)
	s.checkEnded(t, 0)
}

func TestControl_ReloadDuringTheStartIsDoneAfterIt(t *testing.T) {
	s, admin := startDemo(t, demoBackend(1), "")
	eventually(t, "the process is being started", func() bool {
		return !refuses(admin) && peers(t, admin)[0].Process.State == "starting"
	})
	file := filepath.Join(s.dir, "spillway.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moved := porttest.Address(t)
	if err := os.WriteFile(file, bytes.ReplaceAll(before, []byte(s.addr), []byte(moved)), 0o600); err != nil {
		t.Fatal(err)
	}
	both := make(chan said)
	for range 2 {
		go func() { both <- s.command(t, "reload") }() // ends with the reload
	}
	letGo(t, s.dir)
	for range 2 {
		(<-both).want(t, 0, "pid [0-9]+ serves .*spillway.yaml as it is now\n", "")
	}
	if refuses(moved) || !refuses(s.addr) {
		t.Error("the old address is served, not the new one")
	}
	s.addr, s.url = moved, "http://"+moved
	s.awaitHello(t)
}

func TestControl_RestartReplacesTheProcesses(t *testing.T) {
	s := serving(t, 2, "")
	pids := func() []int {
		found := regexp.MustCompile(`(?m)^\d +\d+ +(\d+) +ready `).FindAllStringSubmatch(s.command(t, "status").stdout, -1)
		all := []int{}
		for _, f := range found {
			pid, _ := strconv.Atoi(f[1])
			all = append(all, pid)
		}
		return all
	}
	eventually(t, "both are ready", func() bool { return len(pids()) == 2 })
	before := pids()
	s.command(t, "restart", "demo").want(t, 0, "the processes of demo were replaced in [0-9.]+ s\n", "")
	for _, pid := range pids() {
		if slices.Contains(before, pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	s.command(t, "reopen").want(t, 0, "", "")
}

func TestControl_StopCutsAndCounts(t *testing.T) {
	s := serving(t, 1, "shutdown_timeout: 1h\n")
	s.startDownload(t)
	quit := make(chan said)
	go func() { quit <- s.command(t, "quit") }() // ends with the program
	eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
	s.command(t, "stop").want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; 1 request was cut\n", "")
	(<-quit).want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; 1 request was cut\n", "")
	s.checkEnded(t, 0)
}
