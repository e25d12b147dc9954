package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/cmd/spillway/internal/control"
)

// patience bounds every wait.
const patience = time.Minute

// place is one that no other test has.
func place(t *testing.T) control.Place {
	t.Helper()
	p, err := control.At(filepath.Join(t.TempDir(), "spillway.yaml"), "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listen makes an instance of process 4360 at the place.
func listen(t *testing.T, p control.Place) *control.Server {
	t.Helper()
	s, err := control.Listen(t.Context(), p, control.Identity{PID: 4360, Version: "1.2.3", Config: "site.yaml", Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// handlers note what they are asked for.
type handlers struct {
	mu    sync.Mutex
	asked []string
	fail  error
	ended chan struct{} // closed with the first quit or stop
}

func (h *handlers) note(what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, what)
	return h.fail
}

func (h *handlers) control() control.Handlers {
	end := func(what string) func() {
		return func() {
			_ = h.note(what)
			close(h.ended)
		}
	}
	return control.Handlers{
		Reload:  func(context.Context) error { return h.note("reload") },
		Reopen:  func(context.Context) error { return h.note("reopen") },
		Restart: func(_ context.Context, upstream string) error { return h.note("restart " + upstream) },
		Quit:    end("quit"), Stop: end("stop"),
		Status: func() any { return map[string]int{"answer": 42} },
		Why: func(id string) (any, error) {
			if id == "unknown" {
				return nil, errors.New("nothing is known of it")
			}
			return map[string]string{"id": id}, nil
		},
	}
}

// serve answers at the place until the test's end.
func serve(t *testing.T, p control.Place) (*handlers, *control.Server) {
	t.Helper()
	h := &handlers{ended: make(chan struct{})}
	s := listen(t, p)
	s.Serve(h.control())
	t.Cleanup(func() { _ = s.Close(control.Ending{}) })
	return h, s
}

func find(t *testing.T, p control.Place) *control.Client {
	t.Helper()
	c, err := control.Find(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClient_AsksForEverything(t *testing.T) {
	p := place(t)
	h, _ := serve(t, p)
	c := find(t, p)
	if c.Identity.PID != 4360 || c.Identity.Config != "site.yaml" || c.Identity.Path != p.Path {
		t.Errorf("got %+v", c.Identity)
	}
	ctx := t.Context()
	err := errors.Join(c.Reload(ctx), c.Reopen(ctx), c.Restart(ctx, "a b/ü"), c.Restart(ctx, ""))
	if want := []string{"reload", "reopen", "restart a b/ü", "restart "}; err != nil || !slices.Equal(h.asked, want) {
		t.Errorf("got %q, %v, want %q", h.asked, err, want)
	}
	if text, err := c.Status(ctx); err != nil || strings.TrimSpace(string(text)) != `{"answer":42}` {
		t.Errorf("got %q, %v", text, err)
	}
	for _, id := range []string{"", "k7m39pqx", "a b/ü?#"} {
		answer := map[string]string{}
		text, err := c.Why(ctx, id)
		if err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err != nil || answer["id"] != id {
			t.Errorf("why %q: got %q, %v", id, text, err)
		}
	}
	if _, err := c.Why(ctx, "unknown"); err == nil || err.Error() != "spillway: nothing is known of it" {
		t.Errorf("got %v, want what the handler said", err)
	}
}

func TestClient_GetsTheLinesOfAnError(t *testing.T) {
	p := place(t)
	h, _ := serve(t, p)
	c := find(t, p)
	f := func(failure error, want ...string) {
		t.Helper()
		h.fail = failure
		lines, ok := errors.AsType[*control.LinesError](c.Reload(t.Context()))
		if !ok || !slices.Equal(lines.Lines, want) {
			t.Errorf("got %v, want %q", lines, want)
		}
	}
	f(errors.New("no disk"), "spillway: no disk")
	f(fmt.Errorf("reload: %w", &control.LinesError{Lines: []string{"a.yaml:1: x", "a.yaml:2: y"}}), "a.yaml:1: x", "a.yaml:2: y")
}

func TestListen_IsTheOnlyOne(t *testing.T) {
	p := place(t)
	_, first := serve(t, p)
	_, err := control.Listen(t.Context(), p, control.Identity{PID: 4361})
	running, ok := errors.AsType[*control.RunningError](err)
	if !ok || running.PID != 4360 || !strings.HasPrefix(err.Error(), "pid 4360 runs site.yaml since 20") {
		t.Errorf("got %v, want that 4360 runs", err)
	}
	if err := first.Close(control.Ending{}); err != nil {
		t.Fatal(err)
	}
	next := listen(t, p)
	if err := next.Close(control.Ending{}); err != nil {
		t.Error(err)
	}
}

func TestFind_Nobody(t *testing.T) {
	p := place(t)
	missing, ok := errors.AsType[*control.NotRunningError](func() error { _, err := control.Find(t.Context(), p); return err }())
	if !ok || missing.Path != p.Path {
		t.Errorf("got %v, want that nobody runs with %s", missing, p.Path)
	}
}

// end calls quit or stop in the background; its connection would stay until the process ends, so ctx ends it.
func end(ctx context.Context, ask func(context.Context) (control.Ending, error)) (ended chan control.Ending) {
	ended = make(chan control.Ending, 1)
	go func() { // ends with ctx
		e, _ := ask(ctx)
		ended <- e
	}()
	return ended
}

func TestClient_WaitsForTheEnd(t *testing.T) {
	p := place(t)
	h, s := serve(t, p)
	c, other := find(t, p), find(t, p)
	ctx, gone := context.WithCancel(t.Context())
	defer gone()
	ended := end(ctx, c.Quit)
	select {
	case <-h.ended:
	case <-time.After(patience):
		t.Fatal("quit does not arrive")
	}
	if err := other.Reopen(t.Context()); err != nil {
		t.Errorf("another one has to wait: %v", err)
	}
	want := control.Ending{Took: 3 * time.Second, Cut: 2}
	if err := s.Close(want); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-ended:
		t.Fatalf("got %v before the process has ended", e)
	case <-time.After(20 * time.Millisecond):
	}
	gone() // what the end of the process would do to the connection
	if got := <-ended; got.Took != want.Took || got.Cut != want.Cut {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := control.Find(t.Context(), p); err == nil {
		t.Error("it still answers")
	}
}

// Whatever comes, others are answered.
func TestServer_SurvivesGarbage(t *testing.T) {
	p := place(t)
	h, _ := serve(t, p)
	find(t, p) // under Wine the first client gets no answer
	for _, text := range []string{
		"\x00\xff\r\n\r\n", "POST /reload HTTP/1.1\r\n\r\n", "DELETE /status HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "POST /restart HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{\"up",
		"POST /restart HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + strings.Repeat("x", 20<<10),
		"GET /reload HTTP/1.1\r\nHost: x\r\n\r\n", "GET /" + strings.Repeat("x", 20<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		conn, err := control.Dial(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(3 * time.Second)) // under Wine an end is not always seen
		_, _ = conn.Write([]byte(text))                       // the server may have closed before all was written
		answer := make([]byte, 100)
		if n, _ := conn.Read(answer[:min(len(answer), len(text))]); n > 0 && strings.HasPrefix(string(answer[:n]), "HTTP/1.1 2") {
			t.Errorf("%.40q: got %q", text, answer[:n])
		}
		conn.Close()
	}
	if err := find(t, p).Reload(t.Context()); err != nil || !slices.Equal(h.asked, []string{"reload"}) {
		t.Errorf("got %v, %q", err, h.asked)
	}
}

func TestServer_ClientsThatHangBlockNobody(t *testing.T) {
	p := place(t)
	serve(t, p)
	find(t, p)
	var hanging []net.Conn
	defer func() {
		for _, conn := range hanging {
			conn.Close()
		}
	}()
	for range 40 {
		conn, err := control.Dial(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		hanging = append(hanging, conn)
		_, _ = conn.Write([]byte("GET /status HTTP/1.1\r\n"))
	}
	if _, err := find(t, p).Status(t.Context()); err != nil {
		t.Error(err)
	}
}
