package cgi_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// wait bounds everything that a test waits for.
const wait = 20 * time.Second

// lines is a language for tests: a line for each variable, then an empty one.
func lines(dst []byte, vars *cgi.Vars) ([]byte, error) {
	for i := range vars.Len() {
		name, value := vars.At(i)
		dst = append(append(append(append(dst, name...), '='), value...), '\n')
	}
	return append(dst, '\n'), nil
}

// readLines reads what lines has written and returns the body's length.
func readLines(r *bufio.Reader) (length string, err error) {
	for line := ""; err == nil && line != "\n"; {
		line, err = r.ReadString('\n')
		if value, ok := strings.CutPrefix(line, "CONTENT_LENGTH="); ok {
			length = strings.TrimSpace(value)
		}
	}
	return length, err
}

// connect returns a connection to a peer that does with it what handle says, and then closes it; the caller releases ours.
func connect(tb testing.TB, p upstream.Protocol, handle func(net.Conn, *bufio.Reader)) *upstream.Conn {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the connection, whose waits are bounded
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(wait))
		handle(conn, bufio.NewReader(conn))
	}()
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Protocol: p, Peers: []upstream.PeerOptions{{Address: ln.Addr().String()}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := group.Peers()[0].Lease(upstream.Timeouts{Connect: wait, Send: wait, Read: wait}, true)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ln.Close()
		<-done
	})
	return conn
}

// outcome is what a caller sees of an answer.
type outcome struct {
	status int
	body   string
	length int64
	excess bool
	err    string
}

// exchange sends a request to a peer that answers wire and closes.
func exchange(t *testing.T, wire string, isHead bool, read func(io.Reader) io.Reader) (got outcome) {
	t.Helper()
	p := cgi.NewOneShot(cgi.Params{}, lines)
	conn := connect(t, p, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readLines(r); err == nil {
			_, _ = io.WriteString(conn, wire)
		}
	})
	defer conn.Release(upstream.Spent)
	if err := p.Send(conn, request(t, "/")); err != nil {
		t.Fatal(err)
	}
	resp := response()
	resp.Buf, resp.Head = make([]byte, 4096), isHead
	resp.Reset()
	err := p.Receive(conn, resp)
	if err == nil {
		got.status, got.length, got.body = resp.Header.StatusCode(), resp.Length, string(resp.Prefix)
		if !resp.Complete {
			var rest []byte
			rest, err = io.ReadAll(read(resp.Body))
			got.body += string(rest)
		}
	}
	if got.excess = resp.Excess; resp.Reusable {
		t.Error("the connection is reusable")
	}
	if err != nil {
		own := (*upstream.Error)(nil)
		if !errors.As(err, &own) {
			t.Fatalf("got %#v, want an *upstream.Error", err)
		}
		got.err = err.Error() + " while " + own.Phase.String()
	}
	return got
}

func TestOneShot_Receives(t *testing.T) {
	const (
		early = "upstream prematurely closed connection while reading response header from upstream"
		cut   = "upstream prematurely closed connection while reading upstream"
	)
	long := strings.Repeat("0123456789abcdef", 2000)
	f := func(wire string, isHead bool, want outcome) {
		t.Helper()
		whole := func(r io.Reader) io.Reader { return r }
		for name, read := range map[string]func(io.Reader) io.Reader{"whole": whole, "by byte": iotest.OneByteReader} {
			got := exchange(t, wire, isHead, read)
			if want.err != "" { // the head may have been received or not: it depends on what came in one piece
				got = outcome{err: got.err}
			}
			if got != want {
				t.Errorf("%.80q, %s: got %.200v, want %.200v", wire, name, got, want)
			}
		}
	}
	f("A: b\r\n\r\nhello", false, outcome{200, "hello", -1, false, ""})
	f("A: b\r\n\r\n"+long, false, outcome{200, long, -1, false, ""})
	f("A: b\n\n", false, outcome{200, "", -1, false, ""})
	f("Status: 404 Not Found\nContent-Length: 5\n\nhello", false, outcome{404, "hello", 5, false, ""})
	f("HTTP/1.1 201 Created\r\nContent-Length: 32000\r\n\r\n"+long, false, outcome{201, long, 32000, false, ""})
	f("HTTP/1.0 503 Busy\r\n\r\nbusy", false, outcome{503, "busy", -1, false, ""})
	f("Content-Length: 0\n\n", false, outcome{200, "", 0, false, ""})
	f("Content-Length: 5\n\nhello world", false, outcome{200, "hello", 5, true, ""})
	f("Content-Length: 5\n\nhello", true, outcome{200, "", 5, false, ""})
	f("A: b\n\n"+long, true, outcome{200, "", -1, false, ""})
	f("Status: 204\n\nbody", false, outcome{204, "", -1, false, ""})
	f("Status: 304\nContent-Length: 9\n\n", false, outcome{304, "", 9, false, ""})

	f("", false, outcome{err: early})
	f("A: b\r\n", false, outcome{err: early})
	f("HTTP/1.1 200", false, outcome{err: early})
	f("Content-Length: 5\n\nhell", false, outcome{err: cut})
	f("Content-Length: 32001\n\n"+long, false, outcome{err: cut})
	f("<html>", false, outcome{err: `upstream sent invalid header: "\x3c..." while reading response header from upstream`})
	f("A: "+long, false, outcome{err: "upstream sent too big header while reading response header from upstream"})
}

func TestOneShot_SendsBodies(t *testing.T) {
	p := cgi.NewOneShot(cgi.Params{}, lines)
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 99_000, 256 << 10, 256<<10 + 1, 1_000_000} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		memory := request(t, "/")
		memory.Bytes, memory.BodyLength = []byte(body), int64(size)
		streamed := request(t, "/")
		streamed.Body, streamed.BodyLength = strings.NewReader(body+"beyond the declared length"), int64(size)
		halves := request(t, "/")
		halves.Body, halves.BodyLength = iotest.HalfReader(iotest.DataErrReader(strings.NewReader(body))), int64(size)
		large := request(t, "/") // its variables leave no room in the buffer
		large.Params = fields("LARGE", strings.Repeat("v", 40_000))
		large.Body, large.BodyLength = strings.NewReader(body), int64(size)
		for name, req := range map[string]*upstream.Request{"memory": memory, "reader": streamed, "slow reader": halves, "large block": large} {
			arrived := make(chan string, 1)
			conn := connect(t, p, func(_ net.Conn, r *bufio.Reader) {
				_, _ = readLines(r)
				all, _ := io.ReadAll(r)
				arrived <- string(all)
			})
			if err := p.Send(conn, req); err != nil {
				t.Fatalf("%s of %d: %v", name, size, err)
			}
			conn.Release(upstream.Spent)
			if got := <-arrived; got != body {
				t.Errorf("%s of %d: got %d bytes", name, size, len(got))
			}
		}
	}
}

// What a language refuses leaves nothing behind: the next request is sent from a whole buffer.
func TestOneShot_RefusesBeforeItSends(t *testing.T) {
	refuse := true
	p := cgi.NewOneShot(cgi.Params{}, func(dst []byte, vars *cgi.Vars) ([]byte, error) {
		if refuse {
			return nil, cgi.Refuse(431, io.ErrShortBuffer)
		}
		return lines(dst, vars)
	})
	arrived := make(chan string, 1)
	conn := connect(t, p, func(_ net.Conn, r *bufio.Reader) {
		length, _ := readLines(r)
		body, _ := io.ReadAll(io.LimitReader(r, 5))
		arrived <- length + " " + string(body)
	})
	defer conn.Release(upstream.Spent)
	req := request(t, "/")
	req.Body, req.BodyLength = strings.NewReader("hello"), 5
	err := p.Send(conn, req)
	own := (*upstream.Error)(nil)
	if !errors.As(err, &own) || own.Status != 431 || own.Kind != upstream.Canceled || !errors.Is(err, io.ErrShortBuffer) {
		t.Fatalf("got %#v", err)
	}
	refuse = false
	if err := p.Send(conn, req); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != "5 hello" {
		t.Errorf("got %q", got)
	}
}

// An application that writes while it reads, more in each direction than the kernel holds.
func TestOneShot_Duplex(t *testing.T) {
	const size = 24 << 20
	body := strings.Repeat("0123456789abcdef", size/16)
	for name, change := range map[string]func(*upstream.Request){
		"memory": func(r *upstream.Request) { r.Bytes = []byte(body) },
		"reader": func(r *upstream.Request) { r.Body = strings.NewReader(body) },
	} {
		p := cgi.NewOneShot(cgi.Params{}, lines)
		conn := connect(t, p, func(conn net.Conn, r *bufio.Reader) {
			_, _ = readLines(r)
			_, _ = io.WriteString(conn, "A: b\n\n")
			_, _ = io.CopyN(conn, r, size)
		})
		req := request(t, "/")
		req.BodyLength = size
		change(req)
		if err := p.Send(conn, req); err != nil {
			t.Fatal(err)
		}
		resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, 4096)}
		resp.Reset()
		if err := p.Receive(conn, resp); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(resp.Body)
		if got := string(resp.Prefix) + string(rest); err != nil || got != body {
			t.Errorf("%s: got %d bytes, error %v", name, len(got), err)
		}
		conn.Release(upstream.Spent)
	}
}
