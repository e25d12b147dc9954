package accesslog_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/accesslog"
)

// The lines are those of nginx 1.22 for the same requests.
func TestLogger_Combined(t *testing.T) {
	at := "[" + sample("").End.Local().Format("02/Jan/2006:15:04:05 -0700") + "]"
	f := func(fields, want string) {
		t.Helper()
		if got := line(t, accesslog.Options{}, sample(fields)); got != strings.Replace(want, "[]", at, 1) {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	f("", `127.0.0.1 - - [] "GET /g?a=\x22b\x22 HTTP/1.1" 502 157 "-" "-"`)
	f("Authorization: Basic Ym9iOng=\r\nUser-Agent: a\"b\\c\x01\x7f\xc3\xa9\xff\td\r\nReferer: http://r/\"q\"\r\n",
		`127.0.0.1 - bob [] "GET /g?a=\x22b\x22 HTTP/1.1" 502 157 "http://r/\x22q\x22" `+
			`"a\x22b\x5Cc\x01\x7F\xC3\xA9\xFF\x09d"`)
	f("Referer: \r\nUser-Agent: "+strings.Repeat("x", 9000)+"\r\n",
		`127.0.0.1 - - [] "GET /g?a=\x22b\x22 HTTP/1.1" 502 157 "" "`+strings.Repeat("x", 8192)+`"`)
}

func TestLogger_JSON(t *testing.T) {
	got := line(t, accesslog.Options{Format: accesslog.JSON},
		sample("Host: example.org\r\nUser-Agent: a\"b\\c\x01\x7f\xc3\xa9\xff\td\r\n"))
	object := map[string]any{}
	if err := json.Unmarshal([]byte(got), &object); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	for key, want := range map[string]any{
		"time": sample("").End.Local().Format("2006-01-02T15:04:05-07:00"), "exchange": 42.0, "client": "127.0.0.1", "user": "",
		"server": "localhost", "method": "GET", "host": "example.org", "path": `/g?a="b"`, "protocol": "HTTP/1.1",
		"status": 502.0, "bytes": 157.0, "request_bytes": 70.0, "took": 0.25, "referrer": "",
		"user_agent": "a\"b\\c\x01\x7fé\ufffd\td", "upstream": "g", "peer": "127.0.0.1:19, 127.0.0.1:18",
		"upstream_status": "502, 502", "upstream_took": "0.001, -", "queued": "", "spilled": 0.0, "cause": "refused", "why": "",
	} {
		if object[key] != want {
			t.Errorf("%s: got %v, want %v", key, object[key], want)
		}
		delete(object, key)
	}
	if len(object) > 0 {
		t.Errorf("got %v too", object)
	}
}

func TestLogger_Templates(t *testing.T) {
	ex := sample("X: \"é\\\r\n")
	f := func(format string, escape accesslog.Escape, want string) {
		t.Helper()
		if got := line(t, accesslog.Options{Format: format, Escape: escape}, ex); got != want {
			t.Errorf("%s: got %s, want %s", format, got, want)
		}
	}
	f("$status $upstream_addr $http_none.", accesslog.EscapeDefault, "502 127.0.0.1:19, 127.0.0.1:18 -.")
	f("$http_x $http_none.", accesslog.EscapeDefault, `\x22\xC3\xA9\x5C -.`)
	f("$http_x $http_none.", accesslog.EscapeJSON, `\"é\\ .`)
	f("$http_x $http_none.", accesslog.EscapeNone, `"é\ .`)
	f(`"fixed"`, accesslog.EscapeDefault, `"fixed"`)
}

func TestNew_Errors(t *testing.T) {
	if _, err := accesslog.New(accesslog.Options{}); err == nil {
		t.Error("without an output: got nil, want an error")
	}
	_, err := accesslog.New(accesslog.Options{Format: "$remote_add", Out: io.Discard})
	want := `access log: format: unknown variable "$remote_add"; did you mean $remote_addr?`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLogger_ObserveDoesNotAllocate(t *testing.T) {
	for _, format := range []string{accesslog.Combined, accesslog.JSON} {
		l, err := accesslog.New(accesslog.Options{Format: format, Out: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		ex := sample("Authorization: Basic Ym9iOng=\r\nUser-Agent: a\"b\xc3\xa9\r\n")
		if got := testing.AllocsPerRun(500, func() { l.Observe(ex) }); got != 0 && !raceDetector {
			t.Errorf("%s: got %v allocations, want 0", format, got)
		}
	}
}

// Whatever a client sends: one line, not too long, only printable ASCII in combined, and JSON is JSON.
func FuzzLogger(f *testing.F) {
	f.Add("/a\"b\\", "Mozilla/5.0", "http://x/")
	f.Add("/\n\r\t\x00\x1b\x7f", "é\u0085\u2028", "\xff\xfe")
	f.Add(strings.Repeat("\"", 5000), strings.Repeat("\xff", 9000), strings.Repeat("é", 9000))
	f.Fuzz(func(t *testing.T, target, agent, referrer string) {
		ex := sample("")
		ex.Target = []byte(target)
		ex.Request.SetUserAgent(agent)
		ex.Request.Set("Referer", referrer)
		for _, format := range []string{accesslog.Combined, accesslog.JSON} {
			got := line(t, accesslog.Options{Format: format}, ex)
			if len(got) > 16<<10 {
				t.Errorf("got %d bytes", len(got))
			}
			special := func(r rune) bool { return r < ' ' || 0x7f <= r && (format == accesslog.Combined || r <= 0x9f) }
			if strings.ContainsFunc(got, special) {
				t.Errorf("got %q", got)
			}
			if format == accesslog.Combined && strings.Count(got, `"`) != 6 {
				t.Errorf("got a forged field: %s", got)
			}
			if format == accesslog.JSON && !json.Valid([]byte(got)) {
				t.Errorf("no JSON: %s", got)
			}
		}
	})
}

// line returns the one line of an exchange, without its end.
func line(t *testing.T, opts accesslog.Options, ex *proxy.Exchange) string {
	t.Helper()
	out := &bytes.Buffer{}
	opts.Out = out
	l, err := accesslog.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	l.Observe(ex)
	text, ended := strings.CutSuffix(out.String(), lineEnd)
	if !ended {
		t.Fatalf("got %q without the end of a line", out)
	}
	return text
}

// sample is an exchange with two failed attempts and these fields in its request.
func sample(fields string) *proxy.Exchange {
	request := &fasthttp.RequestHeader{}
	for field := range strings.SplitSeq(strings.TrimSuffix(fields, "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(field, ": ")
		request.Set(name, value)
	}
	response := &fasthttp.ResponseHeader{}
	response.SetStatusCode(502)
	start := time.Unix(1763634671, 0)
	return &proxy.Exchange{
		Request: request, Method: []byte("GET"), Target: []byte(`/g?a="b"`), Proto: []byte("HTTP/1.1"),
		Host: request.Host(), HeadBytes: 70, Start: start, End: start.Add(250 * time.Millisecond),
		RemoteAddr: "127.0.0.1", Conn: 42, Route: &proxy.Route{Site: &proxy.Site{Name: "localhost"}},
		Response: response, BodyBytesSent: 157, BytesSent: 300, Upstream: "g", Cause: proxy.CauseRefused,
		Attempts: []proxy.Attempt{
			{Peer: "127.0.0.1:19", Status: 502, Response: time.Millisecond},
			{Peer: "127.0.0.1:18", Status: 502, Response: -1},
		},
	}
}
