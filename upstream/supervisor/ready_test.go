package supervisor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

// asker is a Readiness.Ask whose answers are given; the last one goes on.
type asker struct {
	mu      sync.Mutex // guards all below
	asked   []string
	answers []int // 0 is an error
}

func (a *asker) ask(ctx context.Context, _ int, path string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, bounded := ctx.Deadline(); !bounded {
		return 0, errors.New("asked without a deadline")
	}
	a.asked = append(a.asked, path)
	answer := a.answers[0]
	if len(a.answers) > 1 {
		a.answers = a.answers[1:]
	}
	if answer == 0 {
		return 0, errors.New("upstream prematurely closed connection")
	}
	return answer, nil
}

func (a *asker) paths() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func TestBackend_IsReadyByTheCallersProtocol(t *testing.T) {
	a := &asker{answers: []int{0, 503, 302, 204, 404}} // an answer that is no 2xx is not enough, but for a warm-up
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Ready.Path, o.Ready.Warmup, o.Ready.Ask = "/ping", []string{"/a", "/b"}, a.ask
	})
	h.start(t)
	h.awaitReady(t, 1)
	if got, want := strings.Join(a.paths(), " "), "/ping /ping /ping /ping /a /b"; got != want {
		t.Errorf("got %s asked, want %s", got, want)
	}
}

func TestBackend_IsNotReadyByTheCallersProtocol(t *testing.T) {
	f := func(answers []int, path string, warmup []string, timeout time.Duration, want string) {
		t.Helper()
		a := &asker{answers: answers}
		h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
			o.Ready.Path, o.Ready.Warmup, o.Ready.Ask, o.Ready.Timeout = path, warmup, a.ask, timeout
		})
		h.start(t)
		if e := h.untilState(t, supervisor.Exited); e.Reason != supervisor.ReasonNotReady {
			t.Errorf("%s: got %+v, want it not ready", want, e)
		}
		if err, _ := h.records(t, "process not ready")[0]["err"].(string); !strings.Contains(err, want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
		h.stop(t)
	}
	f([]int{200, 500}, "/ping", []string{"/warm"}, patience, "warm-up: GET /warm: 500 Internal Server Error")
	f([]int{200, 0}, "/ping", []string{"/warm"}, patience, "warm-up: GET /warm: upstream prematurely closed connection")
	f([]int{503}, "/ping", nil, 2*time.Second, "GET /ping: 503 Service Unavailable")
}
