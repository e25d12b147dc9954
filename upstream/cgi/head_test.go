package cgi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/proxy/httpfield"
	"spillway/upstream"
	"spillway/upstream/cgi"
)

func response() *upstream.Response {
	h := &fasthttp.ResponseHeader{}
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	return &upstream.Response{Header: h}
}

// parse gives the answer to Head in pieces of the given size. It returns the response, the length of the head and the error.
func parse(answer string, step int) (*upstream.Response, int, error) {
	resp := response()
	resp.Reset()
	var head cgi.Head
	data := []byte(answer)
	for end := min(step, len(answer)); ; end = min(end+step, len(answer)) {
		n, err := head.Parse(resp, data[:end])
		if n > 0 || err != nil || end == len(answer) {
			return resp, n, err
		}
	}
}

// show renders what Head made of an answer.
func show(resp *upstream.Response) string {
	var b strings.Builder
	for name, value := range resp.Header.All() {
		b.WriteString(string(name) + "=" + string(value) + ";")
	}
	return b.String()
}

func TestHead_ReadsStatusAndFields(t *testing.T) {
	f := func(answer string, status int, length int64, want string) {
		t.Helper()
		for _, step := range []int{1, 2, 3, 7, len(answer) + 4} {
			resp, n, err := parse(answer+"body", step)
			if err != nil || n != len(answer) {
				t.Errorf("%q: got length %d, error %v", answer, n, err)
				continue
			}
			if got := show(resp); resp.Header.StatusCode() != status || resp.Length != length || got != want {
				t.Errorf("%q: got %d %d %q, want %d %d %q", answer, resp.Header.StatusCode(), resp.Length, got, status, length, want)
			}
		}
	}
	f("A: b\r\n\r\n", 200, -1, "A=b;")
	f("A: b\n\n", 200, -1, "A=b;")
	f("A:b\n\r\n", 200, -1, "A=b;")
	f("Status: 404 Not Found\r\nA: \t b c \r\n\r\n", 404, -1, "A=b c;")
	f("status:503\nX:\n\n", 503, -1, "X=;")
	f("Location: /x\n\n", 302, -1, "Location=/x;")
	f("Location: /x\nStatus: 201 Created\n\n", 201, -1, "Location=/x;")
	f("Status: 200\nStatus: 404\n\n", 200, -1, "")
	f("Content-Length: 12\nA: b\n\n", 200, 12, "A=b;")
	f("Connection: x-secret\nX-Secret: 1\nx-open: 2\nTransfer-Encoding: chunked\nX-Accel-Buffering: no\n\n", 200, -1, "x-open=2;")
	f("X-Secret: 1\nA: b\nConnection: X-Secret\n\n", 200, -1, "A=b;")
	f("Set-Cookie: a=1\nSet-Cookie: a=2\nVary: a\nVary: b\n\n", 200, -1, "Set-Cookie=a=1;Set-Cookie=a=2;Vary=a;Vary=b;")
	f("HTTP/1.1 204 No Content\r\nStatus: 200 OK\r\nA: b\r\n\r\n", 204, -1, "A=b;")
	f("HTTP/1.0 404\r\n\r\n", 404, -1, "")
}

func TestHead_RefusesInNginxWords(t *testing.T) {
	f := func(answer, want string) {
		t.Helper()
		for _, step := range []int{1, len(answer)} {
			_, n, err := parse(answer, step)
			own := (*upstream.Error)(nil)
			if n != 0 || !errors.As(err, &own) || own.Kind != upstream.Invalid || own.Phase != upstream.ReadingHead {
				t.Errorf("%q: got %d, %#v, want an Invalid error", answer, n, err)
			} else if err.Error() != want {
				t.Errorf("%q: got %s, want %s", answer, err, want)
			}
		}
	}
	f("<html>", `upstream sent invalid header: "\x3c..."`)
	f("no colon\n", `upstream sent invalid header: "no\x20..."`)
	f("colonless\r\nA: b\n\n", `upstream sent invalid header: "colonless\x0a..."`)
	f("A: b\nName : x\n\n", `upstream sent invalid header: "Name\x20..."`)
	f("A: b\n folded\n\n", `upstream sent invalid header: "\x20..."`)
	f("A: b\rc\n\n", `upstream sent invalid header: "A: b\x0d..."`)
	f("A: \"\x00\n\n", `upstream sent invalid header: "A: \x22\x00..."`)
	f("A\x80: b\n\n", `upstream sent invalid header: "A\x80..."`)
	f(": b\n\n", `upstream sent invalid header: "\x3a..."`)
	f("\r\nbody", `upstream sent invalid header: "\x0d..."`)
	f("\nbody", `upstream sent invalid header: "\x0a..."`)
	f("A: b\nHTTP/1.1 200 OK\n\n", `upstream sent invalid header: "HTTP\x2f..."`)
	f("Status: abc\n\n", `upstream sent invalid status "abc"`)
	f("Status: 99999\n\n", `upstream sent invalid status "99999"`)
	f("Status: 099\n\n", `upstream sent invalid status "099"`)
	f("Status: 101 Switching\n\n", `upstream sent invalid status "101 Switching"`)
	f("Status:\n\n", `upstream sent invalid status ""`)
	f("HTTP/1.1 99999\n\n", `upstream sent invalid status "99999"`)
	f("HTTP/1.1\n\n", `upstream sent invalid status ""`)
	f("Content-Length: +5\n\n", `upstream sent invalid "Content-Length" header: "Content-Length: +5"`)
	f("content-length: 5, 5\n\n", `upstream sent invalid "Content-Length" header: "content-length: 5, 5"`)
	f("Content-Length: 9999999999999999999\n\n", `upstream sent invalid "Content-Length" header: "Content-Length: 9999999999999999999"`)
	f("Content-Length: 5\nContent-Length: 6\n\n",
		`upstream sent duplicate header line: "Content-Length: 6", previous value: "Content-Length: 5"`)
}

func TestHead_ShowsOnlyTheStartOfALongLine(t *testing.T) {
	_, _, err := parse("A: "+strings.Repeat("x", 1000)+"\x00\n\n", 1<<20)
	if err == nil || len(err.Error()) > 260 {
		t.Errorf("got %v", err)
	}
}

func TestHead_ForgetsAnAnswer(t *testing.T) {
	var head cgi.Head
	f := func(answer string, whole bool, want string) {
		t.Helper()
		resp := response()
		resp.Reset()
		head.Reset()
		if n, err := head.Parse(resp, []byte(answer)); n > 0 != whole || err != nil || show(resp) != want {
			t.Errorf("%q: got %d, %v and %s, want %s", answer, n, err, show(resp), want)
		}
	}
	f("Status: 404\nX-A: 1\nContent-Length: 3\n\n", true, "X-A=1;")
	f("X-Cut: 1\nX-Off", false, "")
	f("X-B: 2\n\n", true, "X-B=2;")
	f(strings.Repeat("X-C: 3\n", 100)+"\n", true, strings.Repeat("X-C=3;", 100))
	f("X-D: 4\n\n", true, "X-D=4;")
}

func TestHead_DoesNotAllocate(t *testing.T) {
	resp := response()
	answer := []byte("Status: 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nX-A: 1\r\nConnection: x\r\n\r\nok")
	var head cgi.Head
	got := testing.AllocsPerRun(100, func() {
		resp.Header.Reset()
		resp.Reset()
		head.Reset()
		if n, err := head.Parse(resp, answer); n != len(answer)-2 || err != nil {
			t.Fatal(n, err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// Whatever a peer sends and however it arrives: the same verdict, no panic, no field that could split a message.
func FuzzCGIHead(f *testing.F) {
	f.Add("Status: 200 OK\r\nA: b\r\n\r\nbody")
	f.Add("HTTP/1.1 200 OK\nConnection: a\nA: b\n\n")
	f.Add("Content-Length: 1\nLocation: /\r\n\n\n")
	f.Add("A: b\r")
	f.Fuzz(func(t *testing.T, answer string) {
		whole, n, err := parse(answer, len(answer)+1)
		split, m, errSplit := parse(answer, 1)
		if n != m || (err == nil) != (errSplit == nil) {
			t.Fatalf("whole: %d, %v; byte by byte: %d, %v", n, err, m, errSplit)
		}
		if n == 0 {
			return
		}
		if whole.Header.StatusCode() != split.Header.StatusCode() || whole.Length != split.Length || show(whole) != show(split) {
			t.Fatalf("whole: %s; byte by byte: %s", show(whole), show(split))
		}
		if n > len(answer) || answer[n-1] != '\n' {
			t.Fatalf("head of %d bytes in %q", n, answer)
		}
		for name, value := range whole.Header.All() {
			if !httpfield.ValidName(name) || !httpfield.ValidValue(value) {
				t.Fatalf("got field %q: %q", name, value)
			}
		}
	})
}
