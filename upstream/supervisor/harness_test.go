package supervisor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/upstream/porttest"
	"spillway/upstream/supervisor"
)

// patience bounds every wait; it asserts nothing.
const patience = 60 * time.Second

var background = context.Background()

// harness is one backend of the test program, with what it says.
type harness struct {
	*supervisor.Backend
	witness *witness
	events  chan supervisor.Event
	seen    []supervisor.Event // those that until has taken
	log     *syncBuffer
	opts    supervisor.Options
	next    string // a file whose content, if it is there, is the role of runs that start from then on
}

// newHarness makes a backend whose processes play the role. change, when not nil, has the last word on the options.
func newHarness(t *testing.T, role string, processes int, change func(*supervisor.Options)) *harness {
	t.Helper()
	checkGoroutines(t)
	ports := porttest.Free(t, processes)
	h := &harness{witness: newWitness(t), events: make(chan supervisor.Event, 1000), log: new(syncBuffer)}
	h.next = filepath.Join(t.TempDir(), "next")
	h.opts = supervisor.Options{
		Name: "app", Command: []string{executable(t)}, Processes: supervisor.Count{Min: processes, Max: processes}, Ports: ports,
		Env: map[string]string{
			roleVar: role, witnessVar: h.witness.ln.Addr().String(), portVar: "{port}", numberVar: "{process}",
			nextVar:  h.next,
			"GORACE": "atexit_sleep_ms=0", // else each exit under the race detector takes a second
		},
		Ready:      supervisor.Readiness{Timeout: patience},
		BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond,
		OnEvent: func(e supervisor.Event) { h.events <- e },
		Log:     slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&h.opts)
	}
	var err error
	h.Backend, err = supervisor.New(h.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.stop(t) })
	return h
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (h *harness) start(t *testing.T) {
	t.Helper()
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) awaitReady(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.WaitReady(ctx, n); err != nil {
		t.Fatalf("%v\n%s", err, h.log.String())
	}
}

// awaitExit awaits that a run is being ended, and then that it has ended.
func (h *harness) awaitExit(t *testing.T) supervisor.Event {
	t.Helper()
	h.await(t, supervisor.Stopping)
	return h.await(t, supervisor.Exited)
}

func (h *harness) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// await returns the next event of any process, which must be this one.
func (h *harness) await(t *testing.T, state supervisor.State) supervisor.Event {
	t.Helper()
	select {
	case e := <-h.events:
		if e.State != state {
			t.Fatalf("got event %v (%+v), want %v\n%s", e.State, e, state, h.log.String())
		}
		return e
	case <-time.After(patience):
		t.Fatalf("no event %v\n%s", state, h.log.String())
		return supervisor.Event{}
	}
}

// until takes events until one is as it should be, and returns that.
func (h *harness) until(t *testing.T, want string, is func(supervisor.Event) bool) supervisor.Event {
	t.Helper()
	patience := time.After(patience)
	for {
		select {
		case e := <-h.events:
			h.seen = append(h.seen, e)
			if is(e) {
				return e
			}
		case <-patience:
			t.Fatalf("no %s\n%s", want, h.log.String())
		}
	}
}

// untilState takes events until one has this state.
func (h *harness) untilState(t *testing.T, state supervisor.State) supervisor.Event {
	t.Helper()
	return h.until(t, state.String(), func(e supervisor.Event) bool { return e.State == state })
}

// settled takes the events that are there.
func (h *harness) settled() {
	for {
		select {
		case e := <-h.events:
			h.seen = append(h.seen, e)
		default:
			return
		}
	}
}

// fewestReady returns how many processes were ready at the worst moment of the events seen, all having been ready once.
func (h *harness) fewestReady(all int) int {
	ready, fewest := make(map[int]bool), all
	complete := false
	for i := range h.seen {
		e := &h.seen[i]
		if delete(ready, e.Port); e.State == supervisor.Ready {
			ready[e.Port] = true
		}
		if complete = complete || len(ready) == all; complete {
			fewest = min(fewest, len(ready))
		}
	}
	return fewest
}

// become has all runs that start from now on play another role.
func (h *harness) become(t *testing.T, role string) {
	t.Helper()
	if err := os.WriteFile(h.next, []byte(role), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ready returns the processes that are ready by their numbers.
func (h *harness) ready() map[int]*supervisor.ProcessState {
	ready := make(map[int]*supervisor.ProcessState)
	states := h.Snapshot()
	for i := range states {
		if states[i].State == supervisor.Ready {
			ready[states[i].Number] = &states[i]
		}
	}
	return ready
}

// byNumber returns the process id of each process that is ready.
func (h *harness) byNumber() map[int]int {
	pids := make(map[int]int)
	for number, s := range h.ready() {
		pids[number] = s.PID
	}
	return pids
}

// portOf returns where a process is ready.
func (h *harness) portOf(t *testing.T, number int) int {
	t.Helper()
	s := h.ready()[number]
	if s == nil {
		t.Fatalf("process %d is not ready: %+v", number, h.Snapshot())
	}
	return s.Port
}

// drain returns the states of all events that have come so far, per process.
func (h *harness) drain() map[int]string {
	states := make(map[int][]string)
	for {
		select {
		case e := <-h.events:
			states[e.Process] = append(states[e.Process], e.State.String())
		default:
			joined := make(map[int]string)
			for process := range maps.Keys(states) {
				joined[process] = strings.Join(states[process], " ")
			}
			return joined
		}
	}
}

// get asks the process with this port.
func get(t *testing.T, port int) self {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer self
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// records returns the log records with this message.
func (h *harness) records(t *testing.T, message string) []map[string]any {
	t.Helper()
	var records []map[string]any
	for line := range strings.Lines(h.log.String()) {
		record := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["msg"] == message {
			records = append(records, record)
		}
	}
	return records
}

// syncBuffer is a bytes.Buffer that several goroutines may use.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// checkGoroutines fails the test when a goroutine of the package is left after it.
func checkGoroutines(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		stacks := make([]byte, 1<<20)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(patience); ; <-tick.C {
			all := string(stacks[:runtime.Stack(stacks, true)])
			if !strings.Contains(all, "spillway/upstream/supervisor.") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("goroutines are left:\n%s", all)
			}
		}
	})
}
