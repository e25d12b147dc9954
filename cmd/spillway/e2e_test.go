//go:build linux && !race

// The end-to-end tests run the real program before real backends and talk to it over real sockets. They look at processes
// in /proc, hence Linux; the program under test is built without the race detector, hence not a second time with it.

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spillway/upstream/porttest"
)

// program is the file that TestMain has built.
var program string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == faultyRole {
		beFaulty(os.Args[2:])
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "spillway-e2e")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "spillway")
	if err := os.Setenv("RUNTIME_DIRECTORY", filepath.Join(dir, "run")); err != nil { // for the sockets of all instances
		log.Print(err)
		return 1
	}
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		log.Printf("go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait: eight cold starts of Django on a busy machine take a while.
const patience = 60 * time.Second

// A site is a running spillway with its backends.
type site struct {
	kind   kind
	dir    string // configuration, logs, temporary files
	mark   string // environment variable of all its processes
	addr   string
	url    string
	client *http.Client
	cmd    *exec.Cmd
	output bytes.Buffer  // valid after ended
	ended  chan struct{} // closed when the program has ended; then its exit status is in cmd
}

// startSite starts the program with processes of one kind behind it, and waits until each of them has answered.
func startSite(t *testing.T, k kind, processes int) *site {
	t.Helper()
	k.require(t)
	dir, addr := k.folder(t), porttest.Address(t)
	s := startProgram(t, dir, addr, k.config(addr, processes))
	s.kind = k

	seen := map[int]bool{}
	eventually(t, fmt.Sprintf("%d processes answer", processes), func() bool {
		if a, err := s.get("hello"); err == nil && a.status == http.StatusOK {
			seen[a.pid] = true
		}
		return len(seen) == processes || s.hasEnded()
	})
	if s.hasEnded() {
		t.Fatal("the program has ended")
	}
	return s
}

// folder returns a folder of its own with a copy of the kind's pages in site: Python leaves its caches beside its sources, and the
// sources stay as they are.
func (k kind) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "site"), os.DirFS(filepath.Join("testdata", k.fixture))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startProgram starts the program in dir with a configuration that listens on addr.
func startProgram(t *testing.T, dir, addr, yaml string) *site {
	t.Helper()
	s := &site{
		dir: dir, mark: "SPILLWAY_E2E=" + dir, addr: addr, url: "http://" + addr, ended: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience},
	}
	config := filepath.Join(dir, "spillway.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}

	s.run(t, exec.Command(program, "-c", config))
	return s
}

// run starts the command as the site's program.
func (s *site) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	s.cmd = cmd
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), s.mark)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	// A backend that outlives the program would keep the pipe of its output open, and Wait would wait for it.
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the program
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() { s.cleanup(t) })
}

// cleanup ends the program, whatever the test has done to it, and shows what it said when the test has failed.
func (s *site) cleanup(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	_ = s.cmd.Process.Kill()
	<-s.ended
	for _, pid := range s.processes(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if t.Failed() {
		t.Logf("output of the program:\n%s\nerror log:\n%s", s.output.String(), s.errorLog())
	}
}

func (s *site) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// waitEnd waits for the program's own end and returns its exit status.
func (s *site) waitEnd(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *site) errorLog() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "logs", "error.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// An answer is a response that has arrived whole.
type answer struct {
	status int
	pid    int // of the process that made it, from its X-Pid field
	body   []byte
}

func (s *site) get(page string) (answer, error) {
	return s.do(http.MethodGet, page, nil)
}

// do asks for a page of the fixture. A body whose length net/http does not know goes out chunked.
func (s *site) do(method, page string, body io.Reader) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+s.kind.path(page), body)
	if err != nil {
		return answer{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	// Pages of the program itself have no such field; 0 is no process.
	a.pid, _ = strconv.Atoi(resp.Header.Get("X-Pid"))
	a.body, err = io.ReadAll(resp.Body)
	return a, err
}

// A load asks for the page hello over a number of connections until it is ended.
type load struct {
	stop    chan struct{}
	running sync.WaitGroup
	asked   atomic.Int64

	mu      sync.Mutex // guards all below
	pids    map[int]bool
	failed  int
	failure string // the first one
}

func (s *site) startLoad(clients int) *load {
	l := &load{stop: make(chan struct{}), pids: map[int]bool{}}
	for range clients {
		l.running.Go(func() { // ends with stop
			for {
				select {
				case <-l.stop:
					return
				default:
					a, err := s.get("hello")
					l.add(a, err, s.kind.hello)
					l.asked.Add(1)
				}
			}
		})
	}
	return l
}

func (l *load) add(a answer, err error, want string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && a.status == http.StatusOK && string(a.body) == want {
		l.pids[a.pid] = true
		return
	}
	if l.failed++; l.failed == 1 {
		l.failure = fmt.Sprintf("%d %q, %v", a.status, a.body, err)
	}
}

// answered returns the processes that have answered so far.
func (l *load) answered() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.pids))
}

// end stops the load and reports what went wrong.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	if l.failed > 0 {
		t.Errorf("%d requests failed, the first one: %s", l.failed, l.failure)
	}
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// processes returns what the program has started, at any depth, and still runs. They are known by a variable of their
// environment, which they keep when their parent ends.
func (s *site) processes(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, name := range files {
		environ, err := os.ReadFile(name)
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), s.mark) {
			continue // it has ended, or is not ours
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		if pid != s.cmd.Process.Pid {
			found = append(found, pid)
		}
	}
	return found
}

// parent reads field 4 of proc_pid_stat(5).
func parent(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return id
}
