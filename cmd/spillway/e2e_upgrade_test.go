//go:build linux && !race

package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/upstream/porttest"
)

// Real applications whose connections last: WebSockets, and events that come one by one.

var tornado = kind{name: "tornado", fixture: "tornado", needs: [][]string{{"/usr/bin/python3", "-c", "import tornado"}}}

// startTornado starts one process of tornado behind the program.
func startTornado(t *testing.T, more string) (s *site, admin string) {
	t.Helper()
	tornado.require(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "site"), os.DirFS(filepath.Join("testdata", tornado.fixture))); err != nil {
		t.Fatal(err)
	}
	addr, admin := porttest.Address(t), porttest.Address(t)
	s = startProgram(t, dir, addr, fmt.Sprintf(`%s
listen: ["%s"]
admin: {listen: "%s"}
upstreams:
  app:
    kind: tornado
    backend: {command: [/usr/bin/python3, app.py, "{port}"], directory: site, processes: 1}
`, more, addr, admin))
	eventually(t, "tornado answers", func() bool {
		resp, err := s.client.Get(s.url + "/hello")
		if err != nil {
			return s.hasEnded()
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK || s.hasEnded()
	})
	if s.hasEnded() {
		t.Fatal("the program has ended")
	}
	return s, admin
}

// metric returns the value of a series as it is written.
func metric(t *testing.T, admin, series string) string {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), series+" "); found {
			return value
		}
	}
	return "none"
}

func TestWebSocket(t *testing.T) {
	s, admin := startTornado(t, "")
	ws := s.openWebSocket(t, "/echo")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i, message := range [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{'x'}, 300), large, []byte("last"), large} {
		opcode := byte(wsText)
		if i%2 == 1 {
			opcode = wsBinary
		}
		ws.send(opcode, message)
		if gotOpcode, got := ws.receive(); gotOpcode != opcode || !bytes.Equal(got, message) {
			t.Errorf("message %d: got %d bytes of kind %d, want %d of kind %d", i, len(got), gotOpcode, len(message), opcode)
		}
	}
	ws.send(wsPing, []byte("there?"))
	if opcode, got := ws.receive(); opcode != wsPong || string(got) != "there?" {
		t.Errorf("got %q of kind %d, want the pong", got, opcode)
	}
	if got := metric(t, admin, `spillway_upgraded_connections{upstream="app"}`); got != "1" {
		t.Errorf("got %s tunnels, want 1", got)
	}

	if said := s.command(t, "reload"); said.exit != 0 {
		t.Fatalf("reload: %+v", said)
	}
	ws.send(wsText, []byte("after the reload"))
	if _, got := ws.receive(); string(got) != "after the reload" {
		t.Errorf("got %q", got)
	}

	ws.send(wsClose, []byte{3, 232}) // 1000: normal
	if opcode, _ := ws.receive(); opcode != wsClose {
		t.Errorf("got a frame of kind %d, want the close", opcode)
	}
	if _, err := ws.r.ReadByte(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	ws.Close()
	eventually(t, "the tunnel is in the access log", func() bool {
		text, _ := os.ReadFile(filepath.Join(s.dir, "logs", "access.log"))
		return strings.Contains(string(text), `"GET /echo HTTP/1.1" 101 20975`) // 2 MiB of messages, and their frames
	})
	if got := metric(t, admin, `spillway_upgraded_connections_total{upstream="app"}`); got != "1" {
		t.Errorf("got %s tunnels in all, want 1", got)
	}
	if log := s.errorLog(); strings.Contains(log, "proxying upgraded connection") {
		t.Errorf("got the error log %s", log)
	}
}

// TestWebSocket_Quit: what was open goes on while nobody new is let in, and the program ends with it.
func TestWebSocket_Quit(t *testing.T) {
	s, _ := startTornado(t, "")
	ws := s.openWebSocket(t, "/echo")
	s.signal(t, syscall.SIGQUIT)
	eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
	ws.send(wsText, []byte("still there"))
	if _, got := ws.receive(); string(got) != "still there" {
		t.Errorf("got %q", got)
	}
	ws.Close()
	s.checkEnded(t, 0)
}

// TestWebSocket_ShutdownTimeout: then it ends in order.
func TestWebSocket_ShutdownTimeout(t *testing.T) {
	s, _ := startTornado(t, "shutdown_timeout: 100ms")
	ws := s.openWebSocket(t, "/echo")
	s.signal(t, syscall.SIGQUIT)
	if _, err := io.ReadAll(ws.r); err != nil {
		t.Errorf("got %v, want the end in order", err)
	}
	s.checkEnded(t, 0)
	s.logged(t, "warn", `running exchanges were cut: 0 requests and 1 tunnels of listener \S+ after \d+ms: shutdown_timeout is over`)
	if text, err := os.ReadFile(filepath.Join(s.dir, "logs", "access.log")); !strings.Contains(string(text), `"GET /echo HTTP/1.1" 101 `) {
		t.Errorf("got the access log %s, %v, want the tunnel in it", text, err)
	}
}

// TestWebSocket_Restart: a process that has one is ended when shutdown_timeout is over, and somebody is told.
func TestWebSocket_Restart(t *testing.T) {
	s, _ := startTornado(t, "shutdown_timeout: 100ms")
	ws := s.openWebSocket(t, "/echo")
	s.command(t, "restart").want(t, 0, ".*\n", "")
	s.logged(t, "warn", `requests cut with their process: 1 requests or tunnels of \w+ at port \d+ after \d+ms: shutdown_timeout is over`)
	ws.Close()
}

// TestEvents_ComeAtOnce: each event is with the client before the next one is sent, through a location that buffers.
func TestEvents_ComeAtOnce(t *testing.T) {
	s, _ := startTornado(t, "")
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "GET /events?number=5 %s\r\nHost: localhost\r\n\r\n", version)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			want := fmt.Sprintf("data: %d\n\n", i)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Fatalf("%s: got %q, %v, want %q", version, got, err, want)
			}
			next, err := s.client.Post(s.url+"/events", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			next.Body.Close()
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%s: got %q, %v, want the end", version, rest, err)
		}
	}
}
