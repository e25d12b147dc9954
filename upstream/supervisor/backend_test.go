package supervisor_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

func TestBackend_StartsAllAndStopsThem(t *testing.T) {
	h := newHarness(t, "serve", 3, nil)
	h.start(t)
	h.awaitReady(t, 3)
	programs := h.witness.take(t, 3)
	for i, s := range h.Snapshot() {
		if answer := get(t, s.Port); answer.Number != strconv.Itoa(s.Number) || s.Number != i+1 {
			t.Errorf("port %d: got number %s, want %d", s.Port, answer.Number, s.Number)
		}
		if s.State != supervisor.Ready || s.PID == 0 || s.Starts != 1 || s.Exits != 0 || s.Restarts != 0 || s.Since.IsZero() {
			t.Errorf("got %+v, want it ready and started once", s)
		}
	}
	h.stop(t)
	for _, v := range programs {
		v.awaitGone(t)
	}
	const life = "starting ready stopping exited stopped"
	if got, want := h.drain(), map[int]string{1: life, 2: life, 3: life}; !maps.Equal(got, want) {
		t.Errorf("got events %v, want %v", got, want)
	}
	for _, s := range h.Snapshot() {
		if s.State != supervisor.Stopped || s.PID != 0 || s.Exits != 1 || s.LastExit.Text != politeExit() {
			t.Errorf("got %+v, want it stopped with %s", s, politeExit())
		}
	}
	if err := h.WaitReady(t.Context(), 1); !errors.Is(err, supervisor.ErrStopped) {
		t.Errorf("WaitReady after Stop: got %v, want ErrStopped", err)
	}
	if err := h.Start(t.Context()); err == nil {
		t.Error("Start after Stop: got no error")
	}
}

func TestBackend_RestartsOnlyWhatCrashed(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	h.start(t)
	h.awaitReady(t, 2)
	programs := h.witness.take(t, 2)
	before := h.Snapshot()
	h.drain()

	programs["serve 1"].tell(t, "complain out of luck")
	programs["serve 1"].tell(t, "exit 7")
	exited := h.awaitExit(t)
	if exited.Process != 1 || exited.PID != before[0].PID || exited.Exit.Code != 7 || exited.Exit.Text != "exit code 7" ||
		!slices.Equal(exited.Exit.Output, []string{"out of luck"}) {
		t.Errorf("got %+v, want exit code 7 of process 1 and its last words", exited)
	}
	h.await(t, supervisor.Restarting)
	if e := h.await(t, supervisor.Starting); e.Process != 1 || e.PID == exited.PID || e.Restarts != 1 {
		t.Errorf("got %+v, want restart 1 of process 1 with another pid than %d", e, exited.PID)
	}
	h.await(t, supervisor.Ready)
	after := h.Snapshot()
	if s := after[0]; s.Starts != 2 || s.Exits != 1 || s.Restarts != 1 || s.LastExit.Code != 7 {
		t.Errorf("got %+v, want one restart", s)
	}
	if after[1].PID != before[1].PID || after[1].Starts != 1 {
		t.Errorf("got %+v, want the other process untouched: %+v", after[1], before[1])
	}
	record := h.records(t, "process exited")[0]
	if record["level"] != "WARN" || record["backend"] != "app" || record["process"] != 1.0 || record["code"] != 7.0 ||
		record["output"] != "out of luck" {
		t.Errorf("got record %v", record)
	}
}

func TestBackend_TellsHowMuchMemoryAProcessHadAndHowLongItRan(t *testing.T) {
	if !knowsPeak {
		t.Skip("this system does not tell how much memory a program that has ended held")
	}
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	v := h.witness.next(t)
	const eaten = 200 // MiB, more than the tests themselves hold
	v.tell(t, "eat "+strconv.Itoa(eaten))
	v.tell(t, "exit 7")
	exit := h.until(t, "exit", func(e supervisor.Event) bool { return e.State == supervisor.Exited }).Exit
	if exit.Peak < eaten<<20 || exit.Peak > 10*eaten<<20 {
		t.Errorf("got a peak of %d bytes, want some more than %d MiB", exit.Peak, eaten)
	}
	if exit.Uptime <= 0 || exit.Uptime > patience {
		t.Errorf("got an uptime of %v", exit.Uptime)
	}
	if got := h.records(t, "process exited")[0]["memory"]; got != float64(exit.Peak) {
		t.Errorf("got memory %v in the log, want %d", got, exit.Peak)
	}
}

func TestBackend_TellsWhatAProcessWroteInASpanOfTime(t *testing.T) {
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	v, port := h.witness.next(t), h.Snapshot()[0].Port
	wrote := func(from, to time.Time) string { return strings.Join(h.Output(port, from, to), " ") }
	say := func(line string) {
		t.Helper()
		v.tell(t, "print "+line)
		read := func(r map[string]any) bool { return r["line"] == line }
		for deadline := time.Now().Add(patience); !slices.ContainsFunc(h.records(t, "process output"), read); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%s was not read", line)
			}
		}
	}
	say("before")
	from := time.Now()
	say("meanwhile")
	to := time.Now()
	say("after")
	if got := wrote(from, to); got != "meanwhile" {
		t.Errorf("got %q, want what was written meanwhile", got)
	}
	if got := wrote(time.Time{}, time.Now()); got != "before meanwhile after" {
		t.Errorf("got %q, want all", got)
	}
	if got := h.Output(1, time.Time{}, time.Now()); got != nil {
		t.Errorf("got %q of a port that is none of the backend", got)
	}
}

func TestBackend_KeepsTheLastLinesOfAnExit(t *testing.T) {
	h := newHarness(t, "exit", 1, nil)
	h.start(t)
	h.await(t, supervisor.Starting)
	e := h.awaitExit(t)
	if len(e.Exit.Output) != 20 || e.Exit.Output[0] != "line 5" || e.Exit.Output[19] != "line 24" || e.Exit.Code != 3 {
		t.Errorf("got exit %+v, want code 3 and lines 5 to 24", e.Exit)
	}
	if e := h.await(t, supervisor.Restarting); e.Delay <= 0 || e.Err != nil {
		t.Errorf("got %+v, want a delay and no error", e)
	}
	h.await(t, supervisor.Starting)
}

func TestBackend_LogsOutput(t *testing.T) {
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	v := h.witness.next(t)
	v.tell(t, "print hello")
	v.tell(t, "complain "+strings.Repeat("x", 5000))
	v.tell(t, "exit 0")
	v.awaitGone(t)
	h.stop(t)
	lines := make(map[string]string)
	for _, record := range h.records(t, "process output") {
		if record["level"] != "INFO+2" || record["pid"] == nil || record["process"] != 1.0 {
			t.Errorf("got record %v", record)
		}
		lines[record["stream"].(string)] = record["line"].(string)
	}
	if want := map[string]string{"stdout": "hello", "stderr": strings.Repeat("x", 4096)}; !maps.Equal(lines, want) {
		t.Errorf("got %v, want %v", lines, want)
	}
}

func TestBackend_RefusesATakenPort(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	taken := h.opts.Ports[1]
	ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(taken))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), strconv.Itoa(taken)) {
		t.Errorf("got %v, want an error that names port %d", err, taken)
	}
	if got := h.drain(); len(got) != 0 {
		t.Errorf("got events %v, want none", got)
	}
}

func TestBackend_LeavesNothingHalfStarted(t *testing.T) {
	dir := t.TempDir()
	program, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"p1.exe": program, "p2.exe": []byte("\x00not a program")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h := newHarness(t, "deaf", 2, func(o *supervisor.Options) {
		o.Directory, o.Command = dir, []string{"./p{process}.exe"}
	})
	if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "p2.exe") {
		t.Fatalf("got %v, want an error that names the program", err)
	}
	select {
	case v := <-h.witness.reports: // had it come so far before it was killed
		v.awaitGone(t)
	default:
	}
	if got := h.drain(); len(got) != 0 {
		t.Errorf("got events %v, want none", got)
	}
}

func TestBackend_TellsWhatIsNotFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "here.exe"), []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	f := func(command string) {
		t.Helper()
		h := newHarness(t, "serve", 1, func(o *supervisor.Options) { o.Command = []string{command} })
		if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), command) {
			t.Errorf("%s: got %v, want an error that names it", command, err)
		}
	}
	f("no-such-program")
	f("here.exe") // in the current folder only
}

func TestBackend_KillsWhatDoesNotGetReady(t *testing.T) {
	h := newHarness(t, "deaf", 1, func(o *supervisor.Options) { o.Ready.Timeout = 20 * time.Millisecond })
	h.start(t)
	h.await(t, supervisor.Starting)
	if e := h.awaitExit(t); e.Exit.Text != killedExit {
		t.Errorf("got %+v, want %s", e.Exit, killedExit)
	}
	h.await(t, supervisor.Restarting)
	h.await(t, supervisor.Starting)
	if len(h.records(t, "process not ready")) == 0 {
		t.Error("no record says that the process was not ready")
	}
}

func TestBackend_WaitsForTheHTTPProbe(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must lead neither the probe astray nor reach the process
	h := newHarness(t, "serve-unhealthy", 1, func(o *supervisor.Options) { o.Ready.Path = "/ready" })
	h.start(t)
	v := h.witness.next(t)
	for range 2 { // it asks again, whatever Retry-After says
		if !v.lines.Scan() || v.lines.Text() != "probed" {
			t.Fatalf("got %q, want a probe", v.lines.Text())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.WaitReady(ctx, 1); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("got %v, want it not ready", err)
	}
	v.tell(t, "recover")
	h.awaitReady(t, 1)
}

func TestBackend_WaitsForAPortTakenMeanwhile(t *testing.T) {
	var thief net.Listener
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		tell := o.OnEvent
		o.OnEvent = func(e supervisor.Event) {
			if e.State == supervisor.Exited && e.Restarts == 0 { // the run has ended, the next has not begun
				var err error
				if thief, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(e.Port)); err != nil {
					t.Errorf("take port: %v", err)
				}
			}
			tell(e)
		}
	})
	h.start(t)
	h.await(t, supervisor.Starting)
	h.await(t, supervisor.Ready)
	h.witness.next(t).tell(t, "exit 0")
	h.awaitExit(t)
	h.await(t, supervisor.Restarting)
	e := h.await(t, supervisor.Restarting)
	if e.Err == nil || !strings.Contains(e.Err.Error(), strconv.Itoa(e.Port)) {
		t.Errorf("got %+v, want an error that names the port", e)
	}
	if len(h.records(t, "port taken")) == 0 {
		t.Error("no record says that the port is taken")
	}
	thief.Close()
	h.awaitReady(t, 1)
}

func TestBackend_WaitFirstKnowsWhenThereIsNoHope(t *testing.T) {
	h := newHarness(t, "exit", 2, func(o *supervisor.Options) {
		o.OnEvent = nil // nobody reads what it would tell
	})
	h.start(t)
	if err := h.WaitFirst(bounded(t)); !errors.Is(err, supervisor.ErrNoneReady) {
		t.Errorf("got %v, want ErrNoneReady", err)
	}
}

func TestBackend_WaitFirstIsContentWithOne(t *testing.T) {
	h := newHarness(t, "serve-first", 2, func(o *supervisor.Options) { o.OnEvent = nil })
	h.start(t)
	if err := h.WaitFirst(bounded(t)); err != nil {
		t.Errorf("got %v, want the one that serves", err)
	}
}
