package supervisor_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/upstream/host"
	"spillway/upstream/supervisor"
)

// steal takes a port that is free.
func steal(t *testing.T, port int) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Errorf("take port: %v", err)
		return nil
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// ownersKnown says whether this system tells who listens on a port. Wine does not.
func ownersKnown(t *testing.T) bool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	owner, err := host.Owner(ln.Addr().(*net.TCPAddr).Port)
	return err == nil && owner.PID == os.Getpid()
}

func TestBackend_TakesASpareWhenItsPortIsTaken(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		tell := o.OnEvent
		o.OnEvent = func(e supervisor.Event) {
			if e.State == supervisor.Exited { // the run has ended, the next has not begun
				steal(t, e.Port)
			}
			tell(e)
		}
	})
	h.start(t)
	h.awaitReady(t, 1)
	port := h.portOf(t, 1)
	h.witness.next(t).tell(t, "exit 1")
	if e := h.untilState(t, supervisor.Idle); e.Port != port {
		t.Errorf("got %+v, want port %d free", e, port)
	}
	h.awaitReady(t, 1)
	if h.portOf(t, 1) == port {
		t.Error("the process is where somebody else listens")
	}
	record := h.records(t, "port taken")[0]
	if text := record["err"].(string); !strings.Contains(text, strconv.Itoa(port)) || !strings.Contains(text, "choose another port") ||
		ownersKnown(t) && !strings.Contains(text, strconv.Itoa(os.Getpid())) {
		t.Errorf("got %q, want the port, its owner and what to do", text)
	}
}

// writerFunc is a function that takes what is written.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// What a spillway that was killed has left is being ended when the next one starts.
func TestStart_WaitsForAPortThatIsBeingLeft(t *testing.T) {
	var taken net.Listener
	waited := false
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) {
			if strings.Contains(string(p), "waiting for ports") {
				waited = true // before Start returns
				taken.Close()
			}
		}), nil))
	})
	taken = steal(t, h.opts.Ports[0])
	h.start(t)
	if !waited {
		t.Error("it did not wait")
	}
	h.awaitReady(t, 1)
}

func TestStart_LeavesOutATakenPort(t *testing.T) {
	h := newHarness(t, "serve", 1, spares(t, 1))
	steal(t, h.opts.Ports[0])
	h.start(t)
	h.awaitReady(t, 1)
	if got := h.portOf(t, 1); got != h.opts.Ports[1] {
		t.Errorf("got port %d, want the spare one", got)
	}
}

func TestBackend_IsNotFooledByAStranger(t *testing.T) {
	if !ownersKnown(t) {
		t.Skip("this system does not tell who listens on a port")
	}
	h := newHarness(t, "deaf", 1, func(o *supervisor.Options) {
		tell := o.OnEvent
		var once sync.Once
		o.OnEvent = func(e supervisor.Event) {
			if e.State == supervisor.Starting { // its port was free a moment ago
				once.Do(func() { steal(t, e.Port) })
			}
			tell(e)
		}
	})
	h.start(t)
	if e := h.untilState(t, supervisor.Exited); e.Reason != supervisor.ReasonNotReady {
		t.Errorf("got %+v, want it not ready", e)
	}
	record := h.records(t, "process not ready")[0]
	if text := record["err"].(string); !strings.Contains(text, "pid "+strconv.Itoa(os.Getpid())) ||
		!strings.Contains(text, strconv.Itoa(h.opts.Ports[0])) {
		t.Errorf("got %q, want the port and who answers there", text)
	}
}

func TestBackend_SaysWhereAProcessListensInstead(t *testing.T) {
	if !ownersKnown(t) {
		t.Skip("this system does not tell who listens on a port")
	}
	f := func(role, want string) {
		t.Helper()
		h := newHarness(t, role, 1, func(o *supervisor.Options) { o.Ready.Timeout = 3 * time.Second })
		h.start(t)
		h.untilState(t, supervisor.Exited)
		record := h.records(t, "process not ready")[0]
		if text := record["err"].(string); !strings.Contains(text, want) || !strings.Contains(text, "{port}") {
			t.Errorf("%s: got %q, want %q", role, text, want)
		}
		h.stop(t)
	}
	f("elsewhere", "instead")
	f("deaf", "listens on no port")
}

func TestBackend_KillsAStubbornTree(t *testing.T) {
	h := newHarness(t, "stubborn-parent", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.StopTimeout = 10 * time.Millisecond
	})
	h.start(t)
	h.awaitReady(t, 1)
	old := h.witness.take(t, 2)
	h.become(t, "serve")
	if err := h.Restart(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for _, v := range old {
		v.awaitGone(t)
	}
	if killed := h.records(t, "process killed"); politeExit() != killedExit && len(killed) != 1 {
		t.Errorf("got records %v, want one of a process that was killed", killed)
	}
}

func TestDrain_ComesBeforeTheStop(t *testing.T) {
	release, draining := make(chan struct{}), make(chan int, 10)
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.DrainTimeout = patience
		o.Drain = func(ctx context.Context, port int) {
			draining <- port
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
	})
	h.start(t)
	h.awaitReady(t, 1)
	old := h.portOf(t, 1)
	h.Recycle(old, supervisor.ReasonMaxRequests)
	if port := <-draining; port != old {
		t.Errorf("got port %d drained, want %d", port, old)
	}
	if get(t, old).Number != "1" {
		t.Error("the process that is drained does not answer")
	}
	h.settled()
	if last := h.seen[len(h.seen)-1]; last.State != supervisor.Draining || last.Port != old || last.Reason != supervisor.ReasonMaxRequests {
		t.Errorf("got %+v, want port %d draining", last, old)
	}
	close(release)
	h.untilState(t, supervisor.Idle)
}

func TestDrain_IsBounded(t *testing.T) {
	h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
		o.DrainTimeout = time.Millisecond
		o.Drain = func(ctx context.Context, _ int) { <-ctx.Done() }
	})
	h.start(t)
	h.awaitReady(t, 2)
	h.stop(t)
	want := "starting ready draining stopping exited stopped"
	if got := h.drain(); got[1] != want || got[2] != want {
		t.Errorf("got events %v, want %s", got, want)
	}
}

func TestDrain_EndsWithTheProcess(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.DrainTimeout = time.Hour
		o.Drain = func(ctx context.Context, _ int) { <-ctx.Done() }
	})
	h.start(t)
	h.awaitReady(t, 1)
	v := h.witness.next(t)
	h.Recycle(h.portOf(t, 1), supervisor.ReasonMaxAge)
	h.untilState(t, supervisor.Draining)
	v.tell(t, "exit 0")
	h.untilState(t, supervisor.Idle)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Stop(ctx); err != nil { // a drain without end does not hold it up
		t.Error(err)
	}
}

func TestStopSignal_KillDoesNotAsk(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) { o.StopSignal = "kill" })
	h.start(t)
	h.awaitReady(t, 1)
	h.stop(t)
	if text := h.Snapshot()[0].LastExit.Text; text != killedExit {
		t.Errorf("got %s, want %s", text, killedExit)
	}
}

// sink is where the raw output of a run goes.
type sink struct {
	syncBuffer
	closed chan struct{}
}

func (s *sink) Close() error {
	close(s.closed)
	return errors.New("disk full")
}

func TestOutput_GetsAllThatARunWrites(t *testing.T) {
	s := &sink{closed: make(chan struct{})}
	var asked []int
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Output = func(process, port int) io.WriteCloser {
			asked = append(asked, process, port)
			return s
		}
	})
	h.start(t)
	h.awaitReady(t, 1)
	long := strings.Repeat("x", 10_000)
	v := h.witness.next(t)
	v.tell(t, "print "+long)
	v.tell(t, "ask") // it obeys one after the other
	v.lines.Scan()
	h.stop(t)
	<-s.closed
	if got := strings.TrimRight(s.String(), "\r\n"); got != long {
		t.Errorf("got %d bytes, want %d", len(got), len(long))
	}
	if !slices.Equal(asked, []int{1, h.opts.Ports[0]}) {
		t.Errorf("got %v asked for", asked)
	}
	if len(h.records(t, "process output not written")) != 1 {
		t.Error("no record says that the output may be lost")
	}
}
