package http1_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"spillway/upstream"
	"spillway/upstream/http1"
)

func TestProtocol_ReceivesBodies(t *testing.T) {
	f := func(method, raw, body string, length int64, reusable, excess bool) {
		t.Helper()
		r := answered(t, method, raw)
		if r.err != nil || r.body != body || r.Length != length || r.Reusable != reusable || r.Excess != excess {
			t.Errorf("%.80q: got body %q, length %d, reusable %v, excess %v, error %v; want %q, %d, %v, %v",
				raw, r.body, r.Length, r.Reusable, r.Excess, r.err, body, length, reusable, excess)
		}
	}
	const ok = "HTTP/1.1 200 OK\r\n"
	f("GET", ok+"Content-Length: 5\r\n\r\nhello", "hello", 5, true, false)
	f("GET", ok+"content-length:\t005 \r\n\r\nhello", "hello", 5, true, false)
	f("GET", "HTTP/1.1 200\nContent-Length: 5\n\nhello", "hello", 5, true, false) // LF alone, no reason
	f("GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "", 0, true, false)
	f("GET", ok+"Content-Length: 5\r\n\r\nhello!", "hello", 5, false, true)
	f("GET", ok+"Content-Length: 5\r\nConnection: close\r\n\r\nhello", "hello", 5, false, false)
	f("GET", ok+"Content-Length: 5\r\nConnection: x, Close\r\n\r\nhello", "hello", 5, false, false)
	f("GET", ok+"\r\nto the end", "to the end", -1, false, false)
	f("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, false, false)
	f("GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, true, false)
	f("GET", ok+"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", -1, true, false)
	f("GET", ok+"Transfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n00\r\nX-Sum: 1\r\nY:\r\n\r\n", "hello", -1, true, false)
	f("GET", ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200", "", -1, false, true)
	f("GET", ok+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", -1, false, false)
	f("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", "", -1, false, false)
	f("HEAD", ok+"Content-Length: 5\r\n\r\n", "", 5, false, false) // the body may come later, against the rules
	f("HEAD", ok+"Content-Length: 0\r\n\r\n", "", 0, true, false)
	f("HEAD", ok+"Content-Length: 5\r\n\r\nhello", "", 5, false, true)
	f("HEAD", ok+"Transfer-Encoding: chunked\r\n\r\n", "", -1, false, false)
	f("HEAD", ok+"\r\n", "", -1, false, false)
	f("HEAD", "HTTP/1.1 304 Not\r\n\r\n", "", -1, true, false)
	f("GET", "HTTP/1.1 204 No\r\n\r\n", "", 0, true, false)
	f("GET", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", "", 0, false, false)
	f("GET", "HTTP/1.1 204 No\r\n\r\nhello", "", 0, false, true)
	f("GET", "HTTP/1.1 304 Not\r\n\r\n", "", -1, true, false)
	f("GET", "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n", "", 5, false, false)
	f("GET", "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"+ok+"Content-Length: 1\r\n\r\nx", "x", 1, true, false)
	f("GET", strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 10)+ok+"Content-Length: 1\r\n\r\nx", "x", 1, true, false)
}

func TestProtocol_RefusesHeads(t *testing.T) {
	f := func(raw, text string) {
		t.Helper()
		r := answered(t, "GET", raw)
		wantInvalid(t, r, raw, text)
		if failure := (*upstream.Error)(nil); errors.As(r.err, &failure) && failure.Phase != upstream.ReadingHead {
			t.Errorf("%.80q: got phase %q", raw, failure.Phase)
		}
	}
	const noHeader = "upstream sent no valid HTTP/1.0 header"
	for _, status := range []string{
		"<html>", "HTTP/0.9 200 OK", "HTTP/2.0 200 OK", "HTTP/1.x 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK",
		"HTTP/1.1 abc OK", "HTTP/1.1 99999 OK", "HTTP/1.1 200OK", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\x00K", "HTTP/1.1\t200 OK",
		" HTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK", "HTTP/1.1 +20 OK", "HTTP/1.12 200 OK",
	} {
		f(status+"\r\n\r\n", noHeader)
	}
	f("HTTP/1.1 099 OK\r\n\r\n", `upstream sent invalid status "99"`)
	f("HTTP/1.1 600 OK\r\n\r\n", `upstream sent invalid status "600"`)
	f("HTTP/1.1 101 Switching\r\n\r\n", `upstream sent invalid status "101"`)
	f(strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 11)+"HTTP/1.1 200 OK\r\n\r\n", "upstream sent too many interim responses")

	head := func(field, text string) {
		t.Helper()
		f("HTTP/1.1 200 OK\r\nX: y\r\n"+field+"\r\n\r\n", text)
	}
	invalid := func(field, shown string) {
		t.Helper()
		head(field, `upstream sent invalid header: "`+shown+`..."`)
	}
	invalid("Name : value", `Name\x20`)
	invalid(" folded", `\x20`)
	invalid("\tfolded: x", `\x09`)
	invalid("no colon", `no\x20`)
	invalid("nocolon", `nocolon\x0a`)
	invalid(": empty", `\x3a`)
	invalid("A\xe4: x", `A\xe4`)
	invalid("A: b\rc", `A: b\x0d`)
	invalid("A: b\x00c", `A: b\x00`)
	invalid("A: b\x7f", `A: b\x7f`)
	for _, length := range []string{"", "+5", "-1", "0x5", "5_0", "5 5", "5, 5", "5,", "12345678901234567890123", "1234567890123456789"} {
		head("Content-Length: "+length, `upstream sent invalid "Content-Length" header: "Content-Length: `+length+`"`)
	}
	head("Content-Length: 5\r\nContent-length: 5", `upstream sent duplicate header line: "Content-length: 5"`)
	for _, coding := range []string{"identity", "gzip, chunked", "chunked, chunked", ",chunked", "xchunked", ""} {
		head("Transfer-Encoding: "+coding, `upstream sent unknown "Transfer-Encoding": "`+coding+`"`)
	}
	head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "upstream sent duplicate header line")
	head(strings.Repeat("A: b\r\n", 300)+"X: y", "upstream sent too big header")
	head("X-Long: "+strings.Repeat("v", 5000), "upstream sent too big header")
}

func TestProtocol_RefusesChunks(t *testing.T) {
	for _, body := range []string{
		"", "x", "0x5\r\n", " 5\r\n", "5 \r\n", "-1\r\n", "+5\r\n", "\r\n", ";\r\n", "5\n", "5\r\r", "5\r\nhello0", "5\r\nhello\n0",
		"5\r\nhello\rX", "5\r\nhelloo\r\n", "FFFFFFFFFFFFFFFF\r\n", "1000000000000000\r\n", "0\r\n x: y\r\n\r\n", "0\r\n: y\r\n\r\n",
		"0\r\nx\r\n\r\n", "0\r\nx y: z\r\n\r\n", "0\r\nx: \x00\r\n\r\n", "0\r\n\n", "0\r\n\rX", "5;\x01\r\nhello",
		strings.Repeat("1;"+strings.Repeat("e", 4000)+"\r\nx\r\n", 5) + "0\r\n\r\n",
		"0\r\n" + strings.Repeat("T: "+strings.Repeat("v", 1000)+"\r\n", 20) + "\r\n",
	} {
		raw := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
		r := answered(t, "GET", raw)
		if body == "" {
			if r.err == nil || r.err.Error() != "upstream prematurely closed connection" {
				t.Errorf("a body that never began: got error %v", r.err)
			}
			continue
		}
		wantInvalid(t, r, body, "upstream sent invalid chunked response")
	}
}

// TestProtocol_SkipsInterimWhileSending: a peer may send 100 on its own and then want the whole body.
func TestProtocol_SkipsInterimWhileSending(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 50000)
	answers := []string{"", "HTTP/1.1 200 OK\r\n"} // what is sent when the head was read: nothing more, or the final head
	for _, early := range answers {
		p := newPeer(t, http1.Options{KeepAlive: true}, func(conn net.Conn) {
			r := bufio.NewReader(conn)
			for line := "x"; line != "\r\n"; line, _ = r.ReadString('\n') {
			}
			fmt.Fprintf(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n%s", early)
			all := make([]byte, len(body))
			n := 0
			for n < len(all) {
				m, err := r.Read(all[n:])
				if err != nil {
					break
				}
				n += m
			}
			if early == "" {
				fmt.Fprint(conn, answers[1])
			}
			fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n", n)
			_, _ = conn.Write(all[:n])
		})
		conn := p.lease()
		req := get("POST")
		req.Body, req.BodyLength = strings.NewReader(body), int64(len(body))
		if err := p.proto.Send(conn, req); err != nil {
			t.Fatal(err)
		}
		r := p.receive(conn, "POST")
		conn.Release(upstream.Spent)
		if r.err != nil || r.body != body || !r.Reusable {
			t.Errorf("got %d bytes, reusable %v, error %v; want %d, true", len(r.body), r.Reusable, r.err, len(body))
		}
	}
}
