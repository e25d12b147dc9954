package service

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/windows/svc"
)

// manager is the service manager's side of a session.
type manager struct {
	requests chan svc.ChangeRequest
	status   chan svc.Status
	exit     chan uint32

	mu     sync.Mutex // guards events
	events []string
}

// start begins a session. It must be called in a bubble, and serve must end in it.
func start(serve Serve) *manager {
	m := &manager{requests: make(chan svc.ChangeRequest), status: make(chan svc.Status), exit: make(chan uint32, 1)}
	s := &session{
		config: `C:\site\spillway.yaml`, serve: serve,
		prepare: func(string) (failure, warning error) { return nil, nil },
		open: func(string) events {
			return events{report: m.report, close: func() {}}
		},
	}
	go func() {
		_, code := s.Execute([]string{"spillway"}, m.requests, m.status)
		m.exit <- code
	}()
	return m
}

// report notes an event; serve reports some itself, beside the session.
func (m *manager) report(_ uint16, _ uint32, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, text)
}

// next is the next status, which must have this state.
func (m *manager) next(t *testing.T, state svc.State) svc.Status {
	t.Helper()
	status := <-m.status
	if status.State != state {
		t.Fatalf("state %d, want %d", status.State, state)
	}
	return status
}

func (m *manager) ask(c svc.Cmd) { m.requests <- svc.ChangeRequest{Cmd: c} }

// ended checks how the session has ended, and that the last event says so.
func (m *manager) ended(t *testing.T, code uint32, event string) {
	t.Helper()
	if got := <-m.exit; got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if last := m.events[len(m.events)-1]; !strings.Contains(last, event) {
		t.Errorf("got event %q, want one with %q", last, event)
	}
}

func TestSession_TellsTheManagerEachStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reloaded := 0
		m := start(func(ctx context.Context, n *Notify) error {
			<-time.After(5 * pulse / 2) // processes start
			n.Ready()
			<-n.Reload()
			reloaded++
			n.Reloading()
			n.Reloaded(nil)
			<-ctx.Done()
			n.Stopping()
			<-time.After(5 * pulse / 2) // requests end
			return nil
		})
		m.next(t, svc.StartPending)
		for checkpoint := range uint32(2) {
			if got := m.next(t, svc.StartPending).CheckPoint; got != checkpoint+1 {
				t.Errorf("checkpoint %d while starting, want %d", got, checkpoint+1)
			}
		}
		want := svc.AcceptStop | svc.AcceptPreShutdown | svc.AcceptParamChange
		if got := m.next(t, svc.Running).Accepts; got != want {
			t.Errorf("accepts %#x, want %#x", got, want)
		}
		m.ask(svc.ParamChange)
		m.next(t, svc.Running)
		m.ask(svc.Interrogate)
		m.next(t, svc.Running)
		m.ask(svc.PreShutdown)
		first := m.next(t, svc.StopPending).CheckPoint
		if second := m.next(t, svc.StopPending).CheckPoint; second <= first {
			t.Errorf("checkpoint %d after %d while stopping, want a higher one", second, first)
		}
		go func() {
			for range m.status {
			}
		}()
		m.ended(t, 0, "stopped in order")
		close(m.status)
		if reloaded != 1 {
			t.Errorf("reloaded %d times, want once", reloaded)
		}
	})
}

func TestSession_StopsWhileItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(func(ctx context.Context, _ *Notify) error {
			<-ctx.Done()
			return nil
		})
		if status := m.next(t, svc.StartPending); status.Accepts != svc.AcceptStop {
			t.Errorf("accepts %#x while starting, want stop", status.Accepts)
		}
		m.ask(svc.Stop)
		m.next(t, svc.StopPending)
		m.ended(t, 0, "stopped in order")
	})
}

func TestSession_AFailedStartHasItsCodeAndItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(func(context.Context, *Notify) error { return errors.New("listen 0.0.0.0:80: taken by pid 4") })
		m.next(t, svc.StartPending)
		m.ended(t, exitNotStarted, "not started: listen 0.0.0.0:80: taken by pid 4")
		if !strings.Contains(m.events[0], `check -c "C:\site\spillway.yaml"`) {
			t.Errorf("got event %q, want what to do", m.events[0])
		}
	})
}

func TestSession_AFailureWhileItServesHasItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(func(_ context.Context, n *Notify) error {
			n.Ready()
			return errors.New("accept: no buffers")
		})
		m.next(t, svc.StartPending)
		m.next(t, svc.Running)
		m.ended(t, exitFailed, "has ended: accept: no buffers")
	})
}

// With another code the manager would restart what was just stopped.
func TestSession_AStopIsNeverAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(func(ctx context.Context, n *Notify) error {
			n.Ready()
			<-ctx.Done()
			return errors.New("close error.log: disk full")
		})
		m.next(t, svc.StartPending)
		m.next(t, svc.Running)
		m.ask(svc.Stop)
		m.next(t, svc.StopPending)
		m.ended(t, 0, "disk full")
	})
}

func TestSession_ARefusedReloadIsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(func(_ context.Context, n *Notify) error {
			n.Ready()
			n.Reloaded(errors.New("spillway.yaml:7: unknown key lisen"))
			return nil
		})
		m.next(t, svc.StartPending)
		m.next(t, svc.Running)
		m.ended(t, 0, "stopped in order")
		if text := strings.Join(m.events, "\n"); !strings.Contains(text, "not reloaded") || !strings.Contains(text, "lisen") {
			t.Errorf("got events %q, want one about the reload", text)
		}
	})
}

func TestSession_WithoutItsFolderItDoesNotStart(t *testing.T) {
	failure, _ := prepare(t.TempDir() + `\gone\spillway.yaml`)
	if failure == nil {
		t.Error("got no error for a folder that is not there")
	}
}
