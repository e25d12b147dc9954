//go:build linux && !race

package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// get is a request without a body; the path goes behind the location's.
func get(path string, fields ...string) string { return request("GET "+path, "", fields...) }

// request makes a request of "METHOD /path", with a length when there is a body.
func request(line, body string, fields ...string) string {
	method, path, _ := strings.Cut(line, " ")
	fields = append([]string{"Host: " + serverName}, fields...)
	if body != "" {
		fields = append(fields, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return method + " {}" + path + " HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
}

// chunkedRequest sends the body in the chunks given.
func chunkedRequest(line string, chunks ...string) string {
	return request(line, "", "Transfer-Encoding: chunked") + inChunks(chunks...)
}

func inChunks(chunks ...string) string {
	var b strings.Builder
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n\r\n"
}

// http10 makes a request of HTTP/1.1 one of HTTP/1.0.
func http10(request string) string { return strings.Replace(request, "HTTP/1.1", "HTTP/1.0", 1) }

// ok is a response with a length.
func ok(body string, fields ...string) string { return response("200 OK", body, fields...) }

func response(status, body string, fields ...string) string {
	return head(status, append(fields, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

// head is a response's head.
func head(status string, fields ...string) string {
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// chunked is a response in chunks.
func chunked(chunks ...string) string {
	return head("200 OK", "Transfer-Encoding: chunked") + inChunks(chunks...)
}

// one is a place with one peer that gives the answers in turn.
func one(name string, answers ...reaction) *place {
	return &place{name: name, peers: []*peer{{answers: answers}}}
}

// several is a place with several peers.
func several(name string, peers ...*peer) *place { return &place{name: name, peers: peers} }

// with adds settings.
func (p *place) with(settings ...string) *place {
	p.settings = append(p.settings, settings...)
	return p
}

// kept makes the rival keep an idle connection.
func (p *place) kept() *place {
	p.keepalive = 4
	return p
}

// answering is a peer that gives the answers in turn.
func answering(answers ...reaction) *peer { return &peer{answers: answers} }

// refusing is a peer that nobody listens for.
func refusing() *peer { return &peer{refuses: true} }

// as adds flags.
func (p *peer) as(flags ...string) *peer {
	p.flags = append(p.flags, flags...)
	return p
}

// says is an answer after which the connection stays open.
func says(bytes string) reaction { return reaction{bytes: bytes} }

// then is an answer with an ending.
func then(bytes string, end ending) reaction { return reaction{bytes: bytes, then: end} }

var large = strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB

func TestNginx_HTTP(t *testing.T) {
	hello := says(ok("hello", "Content-Type: text/plain"))
	compare(t, withTimes, []*trial{
		// Requests.
		{place: one("get", hello), send: []string{get("/a?b=c&d")}},
		{place: one("head", says(head("200 OK", "Content-Length: 5"))), send: []string{request("HEAD /", "")}},
		{place: one("head-of-unknown-length", then(head("200 OK"), closes)), send: []string{request("HEAD /", "")}},
		{place: one("head-chunked", says(head("200 OK", "Transfer-Encoding: chunked"))), send: []string{request("HEAD /", "")}},
		{place: one("post", hello), send: []string{request("POST /", "a=1&b=2", "Content-Type: text/x")}},
		{place: one("post-empty", hello), send: []string{request("POST /", "", "Content-Length: 0")}},
		{place: one("post-nothing", hello), send: []string{request("POST /", "")}, differs: []string{"empty POST has a length"}},
		{place: one("post-chunked", hello), send: []string{chunkedRequest("POST /", "a=1", "&b=2")}, differs: []string{"chunk framing is not counted"}},
		{place: one("post-chunked-empty", hello), send: []string{chunkedRequest("POST /")}, differs: []string{"chunk framing is not counted"}},
		{place: one("get-with-body", hello), send: []string{request("GET /", "body")}},
		{place: one("delete", hello), send: []string{request("DELETE /x", "")}},
		{place: one("options", hello), send: []string{request("OPTIONS /x", "")}},
		{place: one("odd-method", hello), send: []string{request("PROPFIND /x", "")}},
		{place: one("put-large", hello), send: []string{request("PUT /", large)}},
		{place: one("put-large-chunked", hello), send: []string{chunkedRequest("PUT /", large[:500<<10], large[:40])}, differs: []string{"chunk framing is not counted"}},
		{place: one("encoded-target", hello), send: []string{get("/%61/%20b//c/./d/../e?x=%41;%zz&y=\"'")}},
		{place: one("many-fields", hello), send: []string{get("/", "Accept: a", "X-Odd-name: b", "Accept: c", "X-Empty:", "Cookie: a=b",
			"Cookie: c=d", "User-Agent: x \"y\"\\", "Referer: http://r/\x80", "Authorization: Basic dXNlcjpwdw==", "Cache-Control: no-cache")}, differs: []string{"fields as fasthttp has them"}},
		{place: one("underscore", hello), send: []string{get("/", "X_Under: a", "X-Good: b")}, differs: []string{"dropped field is not logged"}},
		{place: one("forwarded-by-client", hello), send: []string{get("/", "X-Forwarded-For: 9.9.9.9", "X-Real-IP: 9.9.9.9",
			"X-Forwarded-Proto: https", "X-Forwarded-Host: evil")}},
		{place: one("hop-by-hop-request", hello), send: []string{get("/", "Connection: keep-alive, X-Named", "X-Named: a", "Keep-Alive: 1",
			"TE: trailers", "Upgrade: foo", "Proxy-Authorization: x", "Proxy-Connection: keep-alive")}, differs: []string{"hop-by-hop fields of requests", "trailers are asked for"}},
		{place: one("host-with-port", hello), send: []string{strings.Replace(get("/"), serverName, "SITE.test:8080", 1)}},
		{place: one("absolute-target", hello), send: []string{"GET http://" + serverName + "{}/x?y HTTP/1.1\r\nHost: " + serverName + "\r\n\r\n"}, differs: []string{"target as sent"}},
		{place: one("no-location", hello), send: []string{"GET /none{}/ HTTP/1.1\r\nHost: " + serverName + "\r\n\r\n"}, differs: []string{"no location"}},

		// The client's connection.
		{place: one("two-requests", hello), send: []string{get("/1"), request("POST /2", "body"), get("/3")}},
		{place: one("client-closes", hello), send: []string{get("/", "Connection: close")}},
		{place: one("http10", hello), send: []string{http10(get("/"))}},
		{place: one("http10-keepalive", hello), send: []string{http10(get("/", "Connection: keep-alive"))}},
		{place: one("http10-no-host", hello), send: []string{"GET {}/ HTTP/1.0\r\n\r\n"}, differs: []string{"peer always gets a Host"}},
		{place: one("http10-unknown-length", says(chunked("he", "llo"))), send: []string{http10(get("/", "Connection: keep-alive"))}, differs: []string{"short body has a length for HTTP/1.0"}},
		{place: one("http10-large-unknown-length", says(chunked(large, "llo"))), send: []string{http10(get("/"))}, differs: []string{"chunk framing is not counted"}},
		{place: one("no-host", hello), send: []string{"GET {}/ HTTP/1.1\r\n\r\n"}, differs: []string{"refused head"}},

		// Responses.
		{place: one("large", says(ok(large))), send: []string{get("/")}},
		{place: one("chunked", says(chunked("he", "llo"))), send: []string{get("/")}, differs: []string{"short body has a length"}},
		{place: one("large-chunked", says(chunked(large, "llo"))), send: []string{get("/")}, differs: []string{"chunk framing is not counted"}},
		{place: one("until-close", then(head("200 OK")+"hello", closes)), send: []string{get("/")}, differs: []string{"chunk framing is not counted", "short body has a length"}},
		{place: one("large-until-close", then(head("200 OK")+large, closes)), send: []string{get("/")}, differs: []string{"chunk framing is not counted"}},
		{place: one("http10-peer", then("HTTP/1.0 200 OK\r\n\r\nhello", closes)), send: []string{get("/")}, differs: []string{"chunk framing is not counted", "short body has a length"}},
		{place: one("no-content", says(head("204 No Content"))), send: []string{get("/")}},
		{place: one("not-modified", says(head("304 Not Modified", "ETag: \"x\""))), send: []string{get("/")}},
		{place: one("not-modified-length", says(head("304 Not Modified", "Content-Length: 77"))), send: []string{get("/")}, differs: []string{"304 with a length"}},
		{place: one("empty", says(ok(""))), send: []string{get("/")}},
		{place: one("no-reason", says("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx")), send: []string{get("/")}, differs: []string{"reason"}},
		{place: one("own-reason", says(response("200 Fine", "x"))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: one("unknown-status", says(response("299 Odd", "x"))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: one("server-error", says(response("500 Oops", "x"))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: one("not-found", says(response("404 Not Found", "x", "Content-Type: text/html"))), send: []string{get("/")}},
		{place: one("interim", then("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+ok("hello"), closes)), send: []string{get("/")}, brief: true, differs: []string{"interim response is skipped"}},
		{place: one("duplicates", says(ok("x", "Set-Cookie: b=1", "X-A: 2", "Set-Cookie: a=2; Path=/", "X-A: 1", "Set-Cookie: b=3",
			"Vary: A", "Vary: B", "WWW-Authenticate: Basic", "WWW-Authenticate: Digest"))), send: []string{get("/")}},
		{place: one("odd-fields", says(ok("x", "x-lower: a", "X-UPPER: b", "X_under: c", "X-Empty:", "X-Space:  a  b ", "Etag: W/\"a\"",
			"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", "Cache-Control: private", "Expires: 0", "Pragma: x"))), send: []string{get("/")}},
		{
			place: one("hidden-fields", says(ok("x", "Server: own", "Date: own", "X-Pad: x", "X-Accel-Expires: 1", "X-Powered-By: php"))),
			send:  []string{get("/")},
		},
		{place: one("hop-by-hop-response", says(ok("x", "Connection: keep-alive, X-Named", "X-Named: a", "Keep-Alive: timeout=1",
			"Upgrade: foo", "Proxy-Authenticate: x", "Trailer: x"))), send: []string{get("/")}, differs: []string{"hop-by-hop fields of responses"}},
		{place: one("location", says(response("302 Found", "", "Location: http://elsewhere/x?y"))), send: []string{get("/")}},
		{place: one("location-relative", says(response("301 Moved Permanently", "moved", "Location: ../x"))), send: []string{get("/")}},
		{place: one("content-encoding", says(ok("x", "Content-Encoding: gzip", "Accept-Ranges: bytes"))), send: []string{get("/")}},
		{place: one("line-feeds", says("HTTP/1.1 200 OK\nContent-Length: 1\nX-A: b\n\nx")), send: []string{get("/")}},

		// Connections to the peer.
		{place: one("kept", says(ok("hello"))).kept(), send: []string{get("/1"), request("POST /2", "body"), get("/3")}},
		{place: one("kept-chunked", says(chunked("hello"))).kept(), send: []string{get("/1"), get("/2")}, differs: []string{"short body has a length"}},
		{place: one("kept-but-closed", then(ok("hello"), closes)).kept(), send: []string{get("/1"), get("/2")}},
		{place: one("kept-but-announced", says(ok("hello", "Connection: close"))).kept(), send: []string{get("/1"), get("/2")}},
		{place: one("kept-errors", says(response("500 Oops", "hello"))).kept(), send: []string{get("/1"), get("/2")}, differs: []string{"reason"}},
	})
}
