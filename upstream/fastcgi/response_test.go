package fastcgi_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"spillway/upstream"
	"spillway/upstream/fastcgi"
)

// outcome is what a caller sees of a response.
type outcome struct {
	status   int
	body     string
	length   int64
	reusable bool
	excess   bool
	err      string // of Receive or of the body, with its phase and kind
	stderr   []string
}

// exchange sends a request to a peer that answers wire. Without keep the connection ends there.
func exchange(t *testing.T, wire string, keep, isHead bool, read func(*upstream.Response) (string, error)) (got outcome) {
	t.Helper()
	p := fastcgi.New(fastcgi.Options{KeepConn: keep})
	conn := lease(t, p, answering(t, wire, keep))
	defer conn.Release(upstream.Spent)
	if err := p.Send(conn, get()); err != nil {
		t.Fatal(err)
	}
	resp := newResponse(4096, &got.stderr)
	resp.Head = isHead
	err := p.Receive(conn, resp)
	if err == nil {
		got.status, got.length = resp.Header.StatusCode(), resp.Length
		got.body, err = read(resp)
	}
	got.reusable, got.excess = resp.Reusable, resp.Excess
	if err != nil {
		own := (*upstream.Error)(nil)
		if !errors.As(err, &own) {
			t.Fatalf("got %#v, want an *upstream.Error", err)
		}
		got.err = err.Error() + " while " + own.Phase.String()
	}
	return got
}

// byByte reads the body in the smallest steps.
func byByte(resp *upstream.Response) (string, error) {
	if resp.Body != nil {
		resp.Body = iotest.OneByteReader(resp.Body)
	}
	return readBody(resp)
}

const ok = "A: b\r\n\r\n"

func TestProtocol_Receives(t *testing.T) {
	declared := func(length, body string) string { return stdout("Content-Length: " + length + "\n\n" + body) }
	const (
		early   = "upstream prematurely closed connection while reading response header from upstream"
		noOut   = "upstream prematurely closed FastCGI stdout while "
		noEnd   = "upstream prematurely closed FastCGI request while reading upstream"
		inHead  = "reading response header from upstream"
		inBody  = "reading upstream"
		untyped = "upstream sent invalid FastCGI record type: "
	)
	tests := []struct {
		name string
		wire string
		keep bool // and the peer leaves the connection open
		head bool
		want outcome
	}{
		{"plain", stdout(ok+"hello") + end(), true, false, outcome{200, "hello", -1, true, false, "", nil}},
		{"without keep_conn", stdout(ok+"hello") + end(), false, false, outcome{200, "hello", -1, false, false, "", nil}},
		{"no stdout end", stdout(ok+"hello") + finished(0, 0), true, false, outcome{200, "hello", -1, true, false, "", nil}},
		{"empty body", stdout(ok) + end(), true, false, outcome{200, "", -1, true, false, "", nil}},
		{"application status", stdout(ok+"x") + stdout("") + finished(1, 0), true, false, outcome{200, "x", -1, true, false, "", nil}},
		{
			"head over records", stdout("A: ") + stdout("b\r") + stdout("\n\r\nhe") + stdout("llo") + end(), true, false,
			outcome{200, "hello", -1, true, false, "", nil},
		},
		{
			"padding", record(6, ok+"hel", 255) + record(6, "lo", 7) + record(6, "", 8) + record(3, "\x00\x00\x00\x00\x00\x00\x00\x00", 8),
			true, false,
			outcome{200, "hello", -1, true, false, "", nil},
		},
		{
			"largest record", record(6, ok+strings.Repeat("x", 65535-len(ok)), 255) + end(), true, false,
			outcome{200, strings.Repeat("x", 65535-len(ok)), -1, true, false, "", nil},
		},
		{
			"management records", "\x01\x0a\x00\x00\x00\x01\x01\x00?P" + stdout(ok) + "\x01\x0b\x00\x00\x00\x00\x00\x00" + end(), true, false,
			outcome{200, "", -1, true, false, "", nil},
		},
		{"declared", declared("5", "hello") + end(), true, false, outcome{200, "hello", 5, true, false, "", nil}},
		{"declared 0", declared("0", "") + end(), true, false, outcome{200, "", 0, true, false, "", nil}},
		{"declared, no end", declared("5", "hello"), false, false, outcome{200, "hello", 5, false, false, "", nil}},
		{"declared, refused at last", declared("5", "hello") + finished(0, 2), true, false, outcome{200, "hello", 5, false, false, "", nil}},
		{"excess", declared("5", "hello world") + end(), true, false, outcome{200, "hello", 5, false, true, "", nil}},
		{"too short", declared("5", "hell") + end(), true, false, outcome{200, "", 5, false, false, noOut + inBody, nil}},
		{"too short, no stdout end", declared("5", "hell") + finished(0, 0), true, false, outcome{200, "", 5, false, false, noEnd, nil}},
		{"bytes after the end", stdout(ok) + end() + "x", true, false, outcome{200, "", -1, false, false, "", nil}},
		{"HEAD", declared("5", "") + end(), true, true, outcome{200, "", 5, true, false, "", nil}},
		{"HEAD, no end", declared("5", "he"), true, true, outcome{200, "", 5, false, false, "", nil}},
		{"HEAD with a body", declared("5", "hello world") + end(), true, true, outcome{200, "", 5, true, false, "", nil}},
		{"204", stdout("Status: 204 No Content\n\nbody") + end(), true, false, outcome{204, "", -1, true, false, "", nil}},
		{"304", stdout("Status: 304\nContent-Length: 9\n\n") + end(), true, false, outcome{304, "", 9, true, false, "", nil}},

		{
			"stderr", stderr("a\n") + stdout(ok+"x") + stderr("b. \r\n") + end(), true, false,
			outcome{200, "x", -1, true, false, "", []string{"a", "b"}},
		},
		{"empty stderr", stderr("") + stderr(" \n") + stdout(ok) + end(), true, false, outcome{200, "", -1, true, false, "", nil}},
		{
			"long stderr", strings.Repeat(stderr(strings.Repeat("e", 60_000)), 2) + stdout(ok) + end(), true, false,
			outcome{200, "", -1, true, false, "", []string{strings.Repeat("e", 4096), strings.Repeat("e", 4096)}},
		},

		{"nothing", "", false, false, outcome{err: early}},
		{"part of a header", "\x01\x06\x00", false, false, outcome{err: early}},
		{"part of the head", stdout("A: b\r\n"), false, false, outcome{err: early}},
		{"part of stderr", stderr("last words")[:12], false, false, outcome{err: early, stderr: []string{"last"}}},
		{"no end", stdout(ok + "part"), false, false, outcome{200, "", -1, false, false, noOut + inBody, nil}},
		{"no END_REQUEST", stdout(ok+"part") + stdout(""), false, false, outcome{200, "", -1, false, false, noEnd, nil}},
		{"part of a record", stdout(ok + "part")[:len(ok)+10], false, false, outcome{200, "", -1, false, false, noOut + inBody, nil}},
		{"part of END_REQUEST", stdout(ok+"part") + end()[:17], false, false, outcome{200, "", -1, false, false, noEnd, nil}},

		{"overloaded", finished(0, 2), true, false, outcome{err: "upstream sent unexpected FastCGI record: 3 (overloaded) while " + inHead}},
		{
			"cannot multiplex", finished(0, 1), true, false,
			outcome{err: "upstream sent unexpected FastCGI record: 3 (cannot multiplex connections) while " + inHead},
		},
		{"no output", finished(0, 0), true, false, outcome{err: "upstream sent unexpected FastCGI record: 3 while " + inHead}},
		{
			"no output, status", stderr("died") + finished(1, 0), true, false,
			outcome{err: "upstream sent unexpected FastCGI record: 3 (application status 1) while " + inHead, stderr: []string{"died"}},
		},
		{"empty stdout", stdout(""), true, false, outcome{err: noOut + inHead}},
		{"no blank line", stdout("A: b\r\n") + stdout(""), true, false, outcome{err: noOut + inHead}},
		{"no head", stdout("<html>"), true, false, outcome{err: `upstream sent invalid header: "\x3c..." while ` + inHead}},
		{"big head", stdout("A: " + strings.Repeat("x", 4096)), true, false, outcome{err: "upstream sent too big header while " + inHead}},

		{
			"version", "\x02\x06\x00\x01\x00\x00\x00\x00", true, false,
			outcome{err: "upstream sent unsupported FastCGI protocol version: 2 while " + inHead},
		},
		{"type", "\x01\x08\x00\x01\x00\x00\x00\x00", true, false, outcome{err: untyped + "8 while " + inHead}},
		{
			"type in the body", stdout(ok+"x") + "\x01\x05\x00\x01\x00\x00\x00\x00", true, false,
			outcome{200, "", -1, false, false, untyped + "5 while " + inBody, nil},
		},
		{"management type with an id", "\x01\x0b\x00\x01\x00\x00\x00\x00", true, false, outcome{err: untyped + "11 while " + inHead}},
		{
			"id 0", "\x01\x06\x00\x00\x00\x00\x00\x00", true, false,
			outcome{err: "upstream sent unexpected FastCGI request id low byte: 0 while " + inHead},
		},
		{
			"id 2", "\x01\x06\x00\x02\x00\x00\x00\x00", true, false,
			outcome{err: "upstream sent unexpected FastCGI request id low byte: 2 while " + inHead},
		},
		{
			"id 257", "\x01\x06\x01\x01\x00\x00\x00\x00", true, false,
			outcome{err: "upstream sent unexpected FastCGI request id high byte: 1 while " + inHead},
		},
		{
			"output after its end", stdout(ok) + stdout("") + stdout("x"), true, false,
			outcome{200, "", -1, false, false, "upstream sent unexpected FastCGI record: 6 while " + inBody, nil},
		},
		{
			"short END_REQUEST", stdout(ok) + record(3, "\x00\x00\x00\x00", 0), true, false,
			outcome{200, "", -1, false, false, "upstream sent unexpected FastCGI record: 3 while " + inBody, nil},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, read := range map[string]func(*upstream.Response) (string, error){"whole": readBody, "by byte": byByte} {
				got, want := exchange(t, tt.wire, tt.keep, tt.head, read), tt.want
				if want.err != "" { // the head may have been received or not: it depends on what came in one piece
					got.status, got.length, got.body, want.status, want.length = 0, 0, "", 0, 0
				}
				if !slices.Equal(got.stderr, want.stderr) {
					t.Errorf("%s: got stderr %.60q, want %.60q", name, got.stderr, want.stderr)
				}
				got.stderr, want.stderr = nil, nil
				if got.body != want.body {
					t.Errorf("%s: got body %.60q, want %.60q", name, got.body, want.body)
				}
				got.body, want.body = "", ""
				if !equal(got, want) {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
			}
		})
	}
}

func equal(a, b outcome) bool {
	return a.status == b.status && a.length == b.length && a.reusable == b.reusable && a.excess == b.excess && a.err == b.err
}

// A retry on another peer is right when the application has not begun the request, and only then.
func TestProtocol_KindOfARefusal(t *testing.T) {
	for wire, want := range map[string]upstream.Kind{
		finished(0, 2): upstream.Failed, stderr("x") + finished(0, 3): upstream.Failed,
		finished(1, 0): upstream.Invalid, stdout("A: b\n") + finished(0, 2): upstream.Invalid, "": upstream.Failed,
	} {
		p := fastcgi.New(fastcgi.Options{})
		conn := lease(t, p, answering(t, wire, false))
		if err := p.Send(conn, get()); err != nil {
			t.Fatal(err)
		}
		err := p.Receive(conn, newResponse(4096, nil))
		if own := (*upstream.Error)(nil); !errors.As(err, &own) || own.Kind != want {
			t.Errorf("%q: got %#v, want kind %d", wire, err, want)
		}
		conn.Release(upstream.Spent)
	}
}

// The head and the first bytes are there before the application has made the rest.
func TestProtocol_Streams(t *testing.T) {
	next := make(chan string)
	address := serve(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := readRequest(r); err != nil {
			return
		}
		for wire := range next {
			_, _ = io.WriteString(conn, wire)
		}
	})
	p := fastcgi.New(fastcgi.Options{KeepConn: true})
	conn := lease(t, p, address)
	defer conn.Release(upstream.Spent)
	if err := p.Send(conn, get()); err != nil {
		t.Fatal(err)
	}
	next <- stdout(ok + "one")
	resp := newResponse(4096, nil)
	if err := p.Receive(conn, resp); err != nil || resp.Complete || string(resp.Prefix) != "one" {
		t.Fatalf("got %v, complete %v, prefix %q", err, resp.Complete, resp.Prefix)
	}
	if conn.Phase != upstream.ReadingBody {
		t.Errorf("got phase %v", conn.Phase)
	}
	buf := make([]byte, 100)
	for _, want := range []string{"two", "three"} {
		next <- stderr("noise") + stdout(want)
		if n, err := resp.Body.Read(buf); string(buf[:n]) != want || err != nil {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
	}
	if n, err := resp.Body.Read(nil); n != 0 || err != nil {
		t.Errorf("read of nothing: got %d, %v", n, err)
	}
	next <- end()
	close(next)
	for range 2 {
		if n, err := resp.Body.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("got %d, %v, want EOF", n, err)
		}
	}
	if !resp.Reusable {
		t.Error("not reusable after END_REQUEST")
	}
}

// A request that was not sent to its end leaves the peer waiting for the rest.
func TestProtocol_BrokenRequestIsNotReusable(t *testing.T) {
	address := serve(t, func(conn net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(conn, stdout("Status: 413\n\n")+end())
		_, _ = io.Copy(io.Discard, conn)
	})
	p := fastcgi.New(fastcgi.Options{KeepConn: true})
	conn := lease(t, p, address)
	defer conn.Release(upstream.Spent)
	req := get()
	req.Body, req.BodyLength = iotest.ErrReader(io.ErrClosedPipe), 10
	if err := p.Send(conn, req); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("got %v", err)
	}
	resp := newResponse(4096, nil)
	if err := p.Receive(conn, resp); err != nil || resp.Header.StatusCode() != 413 {
		t.Fatalf("got %v, status %d", err, resp.Header.StatusCode())
	}
	if _, err := readBody(resp); err != nil || resp.Reusable {
		t.Errorf("got %v, reusable %v", err, resp.Reusable)
	}
}

// An application that writes while it reads, more in each direction than the kernel holds.
func TestProtocol_Duplex(t *testing.T) {
	const size = 24 << 20
	address := serve(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(conn, stderr("begin")+stdout(ok))
		header := make([]byte, 8)
		for {
			if _, err := io.ReadFull(r, header); err != nil {
				return
			}
			content := make([]byte, int(header[4])<<8|int(header[5]))
			if _, err := io.ReadFull(r, content); err != nil {
				return
			}
			if header[1] != 5 {
				continue
			}
			if len(content) == 0 {
				break
			}
			if _, err := io.WriteString(conn, stdout(string(content))); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, end())
		_, _ = io.Copy(io.Discard, r)
	})
	body := strings.Repeat("0123456789abcdef", size/16)
	streamed := post(body)
	streamed.Bytes, streamed.Body = nil, strings.NewReader(body)
	for name, req := range map[string]*upstream.Request{"memory": post(body), "reader": streamed} {
		p := fastcgi.New(fastcgi.Options{KeepConn: true})
		conn := lease(t, p, address)
		if err := p.Send(conn, req); err != nil {
			t.Fatal(err)
		}
		resp := newResponse(4096, nil)
		if err := p.Receive(conn, resp); err != nil {
			t.Fatal(err)
		}
		got, err := readBody(resp)
		if err != nil || got != body || !resp.Reusable {
			t.Errorf("%s: got %d bytes, error %v, reusable %v", name, len(got), err, resp.Reusable)
		}
		conn.Release(upstream.Spent)
	}
}
