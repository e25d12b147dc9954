//go:build linux && !race

package main_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNginx_SCGI and TestNginx_UWSGI have the same trials, since the languages differ in the framing of the variables only.
func TestNginx_SCGI(t *testing.T) { compare(t, withTimes, oneShotTrials("scgi")) }

func TestNginx_UWSGI(t *testing.T) {
	page := ends("Content-Type: text/html\r\n\r\nhello")
	modified := several("uwsgi-modifiers", answering(page)).with("modifier1 5", "modifier2 200")
	modified.protocol = "uwsgi"
	compare(t, withTimes, append(oneShotTrials("uwsgi"), &trial{
		place: modified, send: []string{get("/")}, differs: []string{"short body has a length"},
	}))
}

// ends is an answer that the end of the connection follows, as these languages have it.
func ends(text string) reaction { return then(text, closes) }

// oneShotTrials are those of SCGI and uwsgi.
func oneShotTrials(protocol string) []*trial {
	const page = "Content-Type: text/html\r\n\r\nhello"
	at := func(name string, peers ...*peer) *place {
		p := several(protocol+"-"+name, peers...)
		p.protocol = protocol
		return p
	}
	hello := func() *peer { return answering(ends(page)) }
	answer := func(name, text string) *place { return at(name, answering(ends(text))) }
	status := func(names ...string) []string { // of an answer with such a field
		if protocol == "uwsgi" {
			return append(names, "Status is no field")
		}
		return names
	}
	trials := []*trial{
		// The environment.
		{place: at("get", hello()), send: []string{get("/a/b/%63?d=e&f")}},
		{place: at("post", hello()), send: []string{request("POST /a?x=y", "a=1", "Content-Type: application/x-www-form-urlencoded")}},
		{place: at("post-chunked", hello()), send: []string{chunkedRequest("POST /a", "a=1", "&b=2")}, differs: []string{"chunk framing is not counted"}},
		{place: at("post-empty", hello()), send: []string{request("POST /a", "", "Content-Length: 0")}},
		{place: at("post-large", hello()), send: []string{request("POST /a", large)}},
		{place: at("fields", hello()), send: []string{get("/a", "X-A: 1", "x-lower-Case: b", "Accept: a", "Accept: b", "Cookie: a=b",
			"Cookie: c=d", "X-Empty:", "Proxy: http://evil", "X_Under: x", "Content-Type: text/odd", "Authorization: Basic dXNlcjpwdw==",
			"X-Forwarded-For: 9.9.9.9", "If-Modified-Since: x", "Range: bytes=0-1")}, differs: []string{"CGI variables once", "dropped field is not logged"}},
		{place: at("hop-by-hop-request", hello()), send: []string{get("/a", "Connection: keep-alive, X-Named", "X-Named: a", "Keep-Alive: 1",
			"TE: trailers", "Upgrade: foo", "Proxy-Authorization: x")}, differs: []string{"hop-by-hop CGI variables"}},
		{place: at("head", hello()), send: []string{request("HEAD /a", "")}},
		{place: at("http10", hello()), send: []string{http10(get("/a"))}},
		{place: at("one-after-the-other", hello()), send: []string{get("/1"), request("POST /2", "body"), get("/3")}},

		// Responses.
		{place: answer("status", "Status: 404 Nope\r\nContent-Type: text/x\r\n\r\nbody"), send: []string{get("/")}, differs: status("reason")},
		{place: answer("status-only", "Status: 500\r\n\r\n"), send: []string{get("/")}, differs: status("reason")},
		{place: answer("status-line", "HTTP/1.1 201 Created\r\nX-A: b\r\n\r\nbody"), send: []string{get("/")}},
		{place: answer("status-line-10", "HTTP/1.0 404 Nope\r\nContent-Length: 4\r\n\r\nbody"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: answer("status-line-and-status", "HTTP/1.1 201 Created\r\nStatus: 404\r\n\r\nbody"), send: []string{get("/")}, differs: status()},
		{place: answer("location", "Location: http://elsewhere/\r\n\r\n"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: answer("location-status", "Status: 301 Moved\r\nLocation: /x\r\n\r\nmoved"), send: []string{get("/")}, differs: status("reason")},
		{place: answer("line-feeds", "Content-Type: text/x\nX-A: b\n\nbody"), send: []string{get("/")}},
		{place: answer("length", "Content-Length: 4\r\n\r\nbody"), send: []string{get("/")}},
		{place: answer("cookies", "Set-Cookie: b=1\r\nX-A: 2\r\nSet-Cookie: a=2\r\nX-A: 1\r\n\r\nbody"), send: []string{get("/")}},
		{place: answer("hop-by-hop", "Connection: X-Foo\r\nX-Foo: a\r\nUpgrade: x\r\nKeep-Alive: x\r\nTransfer-Encoding: chunked\r\n\r\nbody"), send: []string{get("/")}, differs: []string{"hop-by-hop fields of responses"}},
		{place: answer("no-content", "Status: 204 No Content\r\n\r\n"), send: []string{get("/")}, differs: status()},
		{place: answer("large", "Content-Type: text/x\r\n\r\n"+large), send: []string{get("/")}},
		{place: answer("large-length", "Content-Length: 1048576\r\n\r\n"+large), send: []string{get("/")}},
		{place: at("length-and-open", answering(then("Content-Length: 4\r\n\r\nbody", hangs))), send: []string{get("/")}},

		// Failures.
		{place: at("refused", refusing()), send: []string{get("/")}},
		{place: answer("closes-at-once", ""), send: []string{get("/")}},
		{place: answer("closes-in-head", "X-A: b\r\n"), send: []string{get("/")}},
		{place: answer("closes-in-status-line", "HTTP/1.1 2"), send: []string{get("/")}},
		{place: at("resets", answering(then("", resets))), send: []string{get("/")}},
		{place: answer("no-head", "just text"), send: []string{get("/")}},
		{place: answer("bad-status", "Status: abc\r\n\r\nbody"), send: []string{get("/")}},
		{place: answer("bad-field", "X A: b\r\n\r\nbody"), send: []string{get("/")}},
		{place: answer("too-big-head", "X-Big: "+strings.Repeat("x", 5000)+"\r\n\r\n").with("buffer_size 4k", "buffers 4 4k"), send: []string{get("/")}},
		{place: answer("short-large-body", "Content-Length: 2000000\r\n\r\n"+large), send: []string{get("/")}},
		{place: answer("long-body", "Content-Length: 2\r\n\r\nbody"), send: []string{get("/")}},
		{place: at("silent", answering(then("", hangs))).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: at("retry", refusing(), hello()), send: []string{get("/"), get("/")}},
		{place: at("retry-closed", answering(ends("")), hello()), send: []string{get("/")}},
		{place: at("no-retry-of-post", answering(ends("")), hello()), send: []string{request("POST /", "body")}},
		{place: at("retry-503", answering(ends("Status: 503 X\r\n\r\nbad")), hello()).with("next_upstream http_503"), send: []string{get("/")}},
		{place: at("all-down", hello().as("down"), hello().as("down")), send: []string{get("/")}},
		{place: at("client-leaves", answering(then("", hangs))), send: []string{get("/")}, leaves: true, differs: []string{"phase of a client's leaving"}},
	}
	for _, tr := range trials {
		tr.differs = append(tr.differs, "short body has a length") // as behind FastCGI
	}
	return append(trials, &trial{place: answer("garbage", "<html>\r\n\r\n"), send: []string{get("/")}, differs: []string{"markup is refused"}})
}

// readSCGI reads the netstring of a request; the head are its variables, sorted by name but for the first one.
func readSCGI(r *bufio.Reader) (head string, body func() ([]byte, error), err error) {
	digits, err := r.ReadString(':')
	if err != nil {
		return "", nil, err
	}
	size, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
	if err != nil {
		return "", nil, err
	}
	all := make([]byte, size+1)
	if _, err := io.ReadFull(r, all); err != nil {
		return "", nil, err
	}
	text, ok := strings.CutSuffix(string(all), "\x00,")
	if !ok {
		return "", nil, errors.New("netstring without an end")
	}
	first, rest := variables(strings.Split(text, "\x00"))
	return first + "\n" + rest, bodyOf(r, first), nil
}

// readUWSGI reads the packet of a request; the head are its modifiers and its variables, sorted by name.
func readUWSGI(r *bufio.Reader) (head string, body func() ([]byte, error), err error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return "", nil, err
	}
	packet := make([]byte, binary.LittleEndian.Uint16(header[1:]))
	if _, err := io.ReadFull(r, packet); err != nil {
		return "", nil, err
	}
	var texts []string
	for len(packet) > 1 {
		size := 2 + int(binary.LittleEndian.Uint16(packet))
		texts = append(texts, string(packet[2:size]))
		packet = packet[size:]
	}
	first, rest := variables(append([]string{"modifiers", fmt.Sprint(header[0], " ", header[3])}, texts...))
	length := ""
	for line := range strings.SplitSeq(rest, "\n") {
		if strings.HasPrefix(line, "CONTENT_LENGTH: ") {
			length = line
		}
	}
	return first + "\n" + rest, bodyOf(r, length), nil
}

// variables are lines of names and values: the first one, and the others, sorted.
func variables(texts []string) (first, rest string) {
	var lines []string
	for pair := range slices.Chunk(texts, 2) {
		lines = append(lines, strings.Join(pair, ": "))
	}
	slices.SortStableFunc(lines[1:], func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
	return lines[0], strings.Join(lines[1:], "\n")
}

// bodyOf reads a body of the length that a line of CONTENT_LENGTH says.
func bodyOf(r *bufio.Reader, line string) func() ([]byte, error) {
	return func() ([]byte, error) {
		length, _ := strconv.Atoi(strings.TrimPrefix(line, "CONTENT_LENGTH: "))
		all := make([]byte, length)
		n, err := io.ReadFull(r, all)
		return all[:n], err
	}
}
