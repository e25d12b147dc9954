package downstream_test

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"

	"spillway/proxy"
)

// describe answers with what it got, one field a line, then the body; an error of the body is an error.
func describe(ex *proxy.Exchange) error {
	var b bytes.Buffer
	b.WriteString("host=" + string(ex.Host) + " path=" + string(ex.Path) + " target=" + string(ex.Target) +
		" query=" + string(ex.Query) + " length=" + strconv.FormatInt(ex.BodyLength, 10) + "\n")
	for name, value := range ex.Request.All() {
		b.WriteString(string(name) + ": " + string(value) + "\n")
	}
	if ex.Body != nil {
		b.WriteString("body=")
		if _, err := io.Copy(&b, ex.Body); err != nil {
			return err
		}
	}
	ex.Response.SetStatusCode(200)
	ex.Bytes = b.Bytes()
	ex.Length = int64(b.Len())
	return nil
}

// Refused requests, by the tables A and B of the reliability figures. Whatever is refused is followed by a request that
// must never be served.
func TestGuard_Refuses(t *testing.T) {
	s := start(t, describe, nil)
	const next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	get := func(rest string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + rest + "\r\n" }
	post := func(rest string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + rest }
	chunked := func(body string) string { return post("Transfer-Encoding: chunked\r\n\r\n" + body) }
	host := func(value string) string { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n" }
	path := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n" }

	for _, tt := range []struct {
		name    string
		request string
		status  int
	}{
		{"A1 length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
		{"A1 chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400},
		{"A2 two lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400},
		{"A2 list of lengths", post("Content-Length: 5, 5\r\n\r\nhello"), 400},
		{"A3 length +5", post("Content-Length: +5\r\n\r\nhello"), 400},
		{"A3 length -1", post("Content-Length: -1\r\n\r\nhello"), 400},
		{"A3 length 0x5", post("Content-Length: 0x5\r\n\r\nhello"), 400},
		{"A3 length 5_0", post("Content-Length: 5_0\r\n\r\nhello"), 400},
		{"A3 length empty", post("Content-Length:\r\n\r\nhello"), 400},
		{"A3 length of 23 digits", post("Content-Length: 11111111111111111111111\r\n\r\nhello"), 400},
		{"A3 length 5 5", post("Content-Length: 5 5\r\n\r\nhello"), 400},
		{"A5 space before the colon of length", post("Content-Length : 5\r\n\r\nhello"), 400},
		{"A5 space before the colon of coding", post("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400},
		{"A6 identity", post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"), 501},
		{"A6 xchunked", post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501},
		{"A6 gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501},
		{"A6 chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 501},
		{"A6 comma chunked", post("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), 501},
		{"A6 vertical tab", post("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"), 400},
		{"A6 two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
		{"A7 coding on 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"A8 obs-fold", get("X: a\r\n b\r\n"), 400},
		{"A8 obs-fold in coding", post("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 400},
		{"A9 LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"A9 LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
		{"A9 LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
		{"A9 only LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
		{"A9 LF CR LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
		{"A9 CR in a value", get("X: a\rb\r\n"), 400},
		{"A9 CR CR LF", get("X: a\r\r\n"), 400},
		{"A9 LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"A10 NUL in a value", get("X: a\x00b\r\n"), 400},
		{"A10 NUL in a name", get("X\x00: a\r\n"), 400},
		{"A10 0x80 in a name", get("X\x80: a\r\n"), 400},
		{"A10 space in a name", get("X Y: a\r\n"), 400},
		{"A10 empty name", get(": a\r\n"), 400},
		{"A10 no colon", get("X\r\n"), 400},
		{"A10 leading space", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		{"A11 chunk size 0x5", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 space before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 space after the size", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 chunk size -1", chunked("-1\r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 chunk size +5", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), 400},
		{"A11 chunk size of 17 digits", chunked("11111111111111111\r\nhello\r\n0\r\n\r\n"), 400},
		{"A12 chunk size ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), 400},
		{"A12 chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), 400},
		{"A12 CR X after the size", chunked("5\rX\nhello\r\n0\r\n\r\n"), 400},
		{"A12 CR X at the end", chunked("5\r\nhello\r\n0\r\n\rX"), 400},
		{"A12 CR X after a trailer", chunked("5\r\nhello\r\n0\r\nA: b\r\n\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
		{"A12 chunk ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), 400},
		{"A13 control byte in an extension", chunked("5;a\x01\r\nhello\r\n0\r\n\r\n"), 400},
		{"A13 only extensions", chunked(strings.Repeat("1;"+strings.Repeat("x", 4096)+"\r\na\r\n", 5)), 400},
		{"A14 bad trailer", chunked("0\r\n X: a\r\n\r\n"), 400},
		{"A19 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
		{"A19 TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
		{"A22 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"A22 HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
		{"A22 HTTP/9.9", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505},
		{"A22 http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
		{"A22 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"A22 TLS", "\x16\x03\x01\x02\x00\x01", 400},
		{"A23 HTTP/0.9", "GET /\r\n", 400},
		{"A26 expectation", get("Expect: 200-ok\r\n"), 417},
		{"B1 no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"B1 empty host", host(""), 400},
		{"B1 two hosts", get("Host: a\r\n"), 400},
		{"B2 a b", host("a b"), 400},
		{"B2 a/b", host("a/b"), 400},
		{"B2 u@b", host("u@b"), 400},
		{"B2 a,b", host("a,b"), 400},
		{"B2 script", host("<script>"), 400},
		{"B2 a:9z", host("a:9z"), 400},
		{"B2 a:99999", host("a:99999"), 400},
		{"B2 a..b", host("a..b"), 400},
		{"B2 .", host("."), 400},
		{"B2 [::1", host("[::1"), 400},
		{"B2 [::1]x", host("[::1]x"), 400},
		{"B2 backslash", host(`a\`), 400},
		{"B4 host of the target is another", path("http://evil/x"), 400},
		{"B4 ftp", path("ftp://a/x"), 400},
		{"B4 authority with user", path("http://u@a/x"), 400},
		{"B6 above the root", path("/a/../../etc"), 400},
		{"B6 above the root, encoded", path("/%2e%2e/etc"), 400},
		{"B6 above the root, encoded slash", path("/..%2fetc"), 400},
		{"B7 %00", path("/a%00"), 400},
		{"B7 %0a", path("/a%0a"), 400},
		{"B7 %0d", path("/a%0d"), 400},
		{"B7 %zz", path("/a%zz"), 400},
		{"B7 % at the end", path("/a%2"), 400},
		{"B8 fragment", path("/a#b"), 400},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"space in the target", path("/a b"), 400},
		{"tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"long request line", path("/" + strings.Repeat("a", 9000)), 414},
		{"long head", get(strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 20)), 431},
		{"many fields", get(strings.Repeat("X: a\r\n", 128)), 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.connect()
			c.send(tt.request + next)
			status, body, header := c.response("GET")
			if status != tt.status || !strings.Contains(body, "<center>spillway</center>") || header.Get("Closed") == "" {
				t.Errorf("got %d %q %v, want the page of %d and a close", status, body, header, tt.status)
			}
			c.closed()
		})
	}
	if log := s.log.String(); strings.Contains(log, "smuggled") || strings.Count(log, "request refused") < 80 {
		t.Errorf("log: %s", log)
	}
}

// What is taken, and how it is understood.
func TestGuard_Takes(t *testing.T) {
	s := start(t, describe, nil)
	for _, tt := range []struct {
		name, request, want string
	}{
		{"A4 length 005", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", "length=5\n*body=hello"},
		{"A7 length on 1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "length=5\n*body=hello"},
		{"A13 extensions", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", "length=-1\n*body=hello"},
		{"A14 trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nHost: evil\r\nX: y\r\n\r\n", "host=a *body=hello"},
		{"A15 body of a GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "length=5\n*body=hello"},
		{"blank lines first", "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", "path=/x "},
		{"B3 host", "GET / HTTP/1.1\r\nHost: A.EXAMPLE.com.:80\r\n\r\n", "host=a.example.com "},
		{"B3 host without anything", "GET / HTTP/1.0\r\n\r\n", "host= "},
		{"B3 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "host=[::1] "},
		{"B4 absolute-form", "GET http://A:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "host=a path=/x target=/x?y query=y "},
		{"B4 absolute-form without path", "GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", "host=a path=/ target=/?y query=y "},
		{"B4 absolute-form on 1.0", "GET http://a/ HTTP/1.0\r\n\r\n", "host=a path=/ "},
		{"B5 slashes", "GET //evil///x HTTP/1.1\r\nHost: a\r\n\r\n", "path=/evil/x target=//evil///x "},
		{"B6 dots", "GET /a/%2e%2e/b/./c%252e HTTP/1.1\r\nHost: a\r\n\r\n", "path=/b/c%2e "},
		{"B6 parameters", "GET /a;/../b HTTP/1.1\r\nHost: a\r\n\r\n", "path=/b "},
		{"percent in the query", "GET /?100%&%00 HTTP/1.1\r\nHost: a\r\n\r\n", "query=100%&%00 "},
		{"UTF-8", "GET /\xc3\xa4%c3%a4 HTTP/1.1\r\nHost: a\r\n\r\n", "path=/\xc3\xa4\xc3\xa4 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, _ := s.connect().send(tt.request).response("GET")
			before, after, _ := strings.Cut(tt.want, "*")
			if status != 200 || !strings.Contains(body, before) || !strings.HasSuffix(body, after) {
				t.Errorf("got %d %q, want %q", status, body, tt.want)
			}
		})
	}
}

func TestGuard_DropsFieldsThatClientsMustNotSend(t *testing.T) {
	s := start(t, describe, nil)
	_, got, _ := s.connect().send("GET / HTTP/1.1\r\nHost: a\r\nX_User: 1\r\nX.User: 2\r\ncontent_length: 3\r\n" +
		"x-accel-redirect: /secret\r\nX-Sendfile: /etc/passwd\r\nStatus: 200\r\nX-Spillway-Upstream: x\r\n" +
		"Connection: x-hop, keep-alive, X-Forwarded-For, content-length, host, authorization\r\n" +
		"Connection: X-Other\r\nX-Hop: 1\r\nX-Other: 1\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: b\r\n" +
		"Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: foo\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\n" +
		"PROXY: kept\r\n\r\n").response("GET")
	_, fields, _ := strings.Cut(got, "\n")
	want := "Host: a\nX-Forwarded-For: 1.2.3.4\nAuthorization: b\nProxy: kept\n"
	if fields != want {
		t.Errorf("got %q, want %q", fields, want)
	}
}
