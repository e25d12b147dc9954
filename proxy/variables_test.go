package proxy_test

import (
	"bufio"
	"encoding/base64"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
)

// samples are all variables and their values for sample.
var samples = map[string]string{
	"remote_addr":         "192.0.2.7",
	"remote_port":         "51000",
	"server_addr":         "192.0.2.1",
	"server_port":         "8080",
	"server_name":         "example.org",
	"scheme":              "http",
	"https":               "",
	"connection":          "42",
	"connection_requests": "3",
	"pid":                 strconv.Itoa(os.Getpid()),

	"request":                   "POST /a%20b?x=1&Y=two&y=3&empty= HTTP/1.1",
	"request_method":            "POST",
	"request_uri":               "/a%20b?x=1&Y=two&y=3&empty=",
	"uri":                       "/a b",
	"document_uri":              "/a b",
	"args":                      "x=1&Y=two&y=3&empty=",
	"query_string":              "x=1&Y=two&y=3&empty=",
	"is_args":                   "?",
	"host":                      "example.org",
	"server_protocol":           "HTTP/1.1",
	"content_type":              "text/plain",
	"content_length":            "5",
	"remote_user":               "alice",
	"request_id":                "0123456789abcdef0123456789abcdef",
	"request_length":            "205",
	"proxy_add_x_forwarded_for": "198.51.100.1, 198.51.100.2, 192.0.2.7",
	"http_host":                 "Example.org:8080",
	"http_user_agent":           "tester/1.0",
	"http_x_forwarded_for":      "198.51.100.1, 198.51.100.2",
	"http_cookie":               "a=1; session=s3cret; Session=second",
	"arg_x":                     "1",
	"arg_y":                     "two",
	"arg_empty":                 "",
	"cookie_a":                  "1",
	"cookie_session":            "s3cret",

	"status":                   "201",
	"bytes_sent":               "1234",
	"body_bytes_sent":          "1000",
	"request_time":             "1.234",
	"msec":                     "1763634672.234",
	"sent_http_x_app":          "django",
	"sent_http_content_type":   "text/html",
	"sent_http_content_length": "1000",

	"upstream":                 "app",
	"upstream_cause":           "timeout",
	"upstream_queue_time":      "0.250",
	"upstream_spilled":         "77",
	"upstream_addr":            "127.0.0.1:9001, 127.0.0.1:9002",
	"upstream_status":          "502, 201",
	"upstream_connect_time":    "-, 0.001",
	"upstream_header_time":     "-, 0.020",
	"upstream_response_time":   "0.002, 1.200",
	"upstream_bytes_received":  "0, 1100",
	"upstream_response_length": "0, 1000",
}

func TestVariables_Values(t *testing.T) {
	ex := sample(t)
	for name, want := range samples {
		if got := string(compile(t, "$"+name).Append(nil, ex)); got != want {
			t.Errorf("$%s: got %q, want %q", name, got, want)
		}
	}
	local := ex.End.Local()
	for name, layout := range map[string]string{
		"time_local": "02/Jan/2006:15:04:05 -0700", "time_iso8601": "2006-01-02T15:04:05-07:00",
	} {
		if got, want := string(compile(t, "$"+name).Append(nil, ex)), local.Format(layout); got != want {
			t.Errorf("$%s: got %q, want %q", name, got, want)
		}
	}
}

// What nginx calls "not found" is logged as "-"; an empty value is logged as nothing.
func TestVariables_WithoutValue(t *testing.T) {
	ex := &proxy.Exchange{
		Request: &fasthttp.RequestHeader{}, Response: &fasthttp.ResponseHeader{},
		Start: time.Unix(1763634671, 0), Length: -1,
	}
	keep := func(line []byte, _ int) []byte { return line }
	f := func(name, want string) {
		t.Helper()
		if got := string(compile(t, "$"+name).AppendEscaped(nil, ex, "-", keep)); got != want {
			t.Errorf("$%s: got %q, want %q", name, got, want)
		}
		if got := string(compile(t, "$"+name).Append(nil, ex)); got != strings.Trim(want, "-") {
			t.Errorf("$%s: got %q without a mark", name, got)
		}
	}
	for _, name := range []string{
		"remote_addr", "request", "args", "host", "remote_user", "content_length", "content_type", "http_referer",
		"cookie_a", "arg_a", "sent_http_location", "sent_http_content_length", "upstream", "upstream_addr",
		"upstream_status", "upstream_response_time", "server_name",
	} {
		f(name, "-")
	}
	f("is_args", "")
	f("https", "")
	f("connection", "0")
}

func TestVariables_WithoutRequestHead(t *testing.T) {
	ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}, RemoteAddr: "192.0.2.7"}
	got := string(compile(t, "$http_host|$remote_user|$cookie_a|$proxy_add_x_forwarded_for").Append(nil, ex))
	if want := "|||192.0.2.7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVariables_RemoteUser(t *testing.T) {
	template := compile(t, "$remote_user")
	f := func(authorization, want string) {
		t.Helper()
		ex := &proxy.Exchange{Request: &fasthttp.RequestHeader{}}
		ex.Request.Set("Authorization", authorization)
		line := template.Append(nil, ex)
		if string(line) != want {
			t.Errorf("%s: got %q, want %q", authorization, line, want)
		}
		if strings.Contains(string(line[:cap(line)]), "pass") {
			t.Errorf("%s: the password is still in the buffer", authorization)
		}
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	f("Basic "+encode("bob:password"), "bob")
	f("basic "+encode("bob:pass:word"), "bob")
	f("Basic "+strings.TrimRight(encode("bo:pass"), "="), "bo")
	f("Basic "+encode("passwordonly"), "")
	f("Basic *", "")
	f("Basic", "")
	f("Bearer "+encode("bob:password"), "")
}

func TestVariables_TimeChangesWithTheSecond(t *testing.T) {
	template := compile(t, "$time_iso8601")
	ex := &proxy.Exchange{}
	for i := range 3 {
		ex.End = time.Unix(1763634671, 0).Add(time.Duration(i) * 400 * time.Millisecond * 2)
		if got, want := string(template.Append(nil, ex)), ex.End.Local().Format("2006-01-02T15:04:05-07:00"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// sample is an exchange in which every variable has a value, with two attempts.
func sample(t *testing.T) *proxy.Exchange {
	t.Helper()
	request := &fasthttp.RequestHeader{}
	head := "POST /a%20b?x=1&Y=two&y=3&empty= HTTP/1.1\r\nHost: Example.org:8080\r\nUser-Agent: tester/1.0\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 5\r\nEvil: $remote_addr\r\n" +
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:secret")) + "\r\n" +
		"Cookie: a=1; session=s3cret; Session=second\r\n" +
		"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2\r\n\r\n"
	if err := request.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		t.Fatal(err)
	}
	response := &fasthttp.ResponseHeader{}
	response.SetStatusCode(201)
	response.SetContentType("text/html")
	response.Set("X-App", "django")
	start := time.Unix(1763634671, 0)
	return &proxy.Exchange{
		Request: request, Method: []byte("POST"), Target: []byte("/a%20b?x=1&Y=two&y=3&empty="), Path: []byte("/a b"),
		Query: []byte("x=1&Y=two&y=3&empty="), Proto: []byte("HTTP/1.1"), Host: []byte("example.org"),
		BodyLength: 5, HeadBytes: 200, RequestBytes: 5, Start: start, End: start.Add(1234567 * time.Microsecond),
		Scheme: "http", RemoteAddr: "192.0.2.7", RemotePort: "51000", ServerAddr: "192.0.2.1", ServerPort: "8080",
		Conn: 42, ConnServed: 3, ID: "0123456789abcdef0123456789abcdef",
		Route:    &proxy.Route{Site: &proxy.Site{Name: "example.org"}},
		Response: response, Length: 1000, BytesSent: 1234, BodyBytesSent: 1000,
		Upstream: "app", Cause: proxy.CauseTimeout, Spilled: 77, Queued: 250 * time.Millisecond,
		Attempts: []proxy.Attempt{
			{Peer: "127.0.0.1:9001", Status: 502, Connect: -1, Head: -1, Response: 2 * time.Millisecond},
			{
				Peer: "127.0.0.1:9002", Status: 201, Connect: time.Millisecond, Head: 20 * time.Millisecond,
				Response: 1200 * time.Millisecond, Received: 1100, ReceivedBody: 1000,
			},
		},
	}
}

// The relay keeps the names of a peer's fields as the peer wrote them.
func TestVariables_SentFieldInAnyLetterCase(t *testing.T) {
	response := &fasthttp.ResponseHeader{}
	response.DisableNormalizing()
	response.Set("eTaG", `"x"`)
	response.SetContentType("text/css")
	template, err := proxy.CompileTemplate("$sent_http_etag $sent_http_content_type")
	if err != nil {
		t.Fatal(err)
	}
	got := string(template.Append(nil, &proxy.Exchange{Response: response}))
	if want := `"x" text/css`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
