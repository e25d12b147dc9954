package errorlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/errorlog"
)

const (
	head = "2026/11/20 11:04:38 "
	who  = `client: 10.10.0.182, server: localhost, request: "GET /favicon.ico HTTP/1.1"`
	host = `host: "10.10.0.5:8113"`
	from = `referrer: "http://10.10.0.5:8113/"`
)

var errRefused = errors.New("connect() failed (111: Connection refused)")

// The lines of nginx 1.22 and of nginx's source for the same events.
func TestHandler_NginxWords(t *testing.T) {
	ex := sample()
	peer := []any{"exchange", ex, "upstream", "app", "peer", "127.0.0.1:9000", "scheme", "http", "uri", "/favicon.ico"}
	cgi := []any{"exchange", ex, "upstream", "app", "peer", "127.0.0.1:9000", "scheme", "fastcgi", "uri", "/favicon.ico"}
	with := func(common []any, more ...any) []any { return append(append([]any{}, common...), more...) }
	const httpURL, cgiURL = `upstream: "http://127.0.0.1:9000/favicon.ico"`, `upstream: "fastcgi://127.0.0.1:9000"`

	f := func(level slog.Level, message string, args []any, want string) {
		t.Helper()
		if got := line(t, errorlog.Nginx, level, message, args...); got != head+want {
			t.Errorf("%s:\n got %s\nwant %s", message, got, head+want)
		}
	}
	f(errorlog.LevelError, "peer failed",
		with(cgi, "attempt", 1, "phase", "connecting to upstream", "err", errRefused),
		"[error] 4360#4360: *967 connect() failed (111: Connection refused) while connecting to upstream, "+
			who+", "+cgiURL+", "+host+", "+from)
	f(errorlog.LevelError, "peer failed",
		with(peer, "attempt", 1, "phase", "reading response header from upstream",
			"err", errors.New("upstream prematurely closed connection")),
		"[error] 4360#4360: *967 upstream prematurely closed connection while reading response header from upstream, "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelCrit, "peer failed",
		[]any{
			"exchange", ex, "upstream", "app", "peer", "unix:/run/app.sock", "scheme", "http", "uri", "/x",
			"phase", "connecting to upstream", "err", errors.New("connect() failed (2: No such file or directory)"),
		},
		"[crit] 4360#4360: *967 connect() failed (2: No such file or directory) while connecting to upstream, "+
			who+`, upstream: "http://unix:/run/app.sock:/x", `+host+", "+from)
	probed := []any{"upstream", "app", "scheme", "fastcgi", "peer", "127.0.0.1:9000"}
	f(errorlog.LevelWarn, "peer is unhealthy", with(probed, "failures", 3, "probe", "GET /health", "err", errors.New("status 500, want 200-399")),
		"[warn] 4360#4360: peer is unhealthy: 3 probes (GET /health) have failed in a row, the last one with: status 500, want 200-399, "+cgiURL)
	f(errorlog.LevelWarn, "all peers are unhealthy", probed[:4],
		`[warn] 4360#4360: all peers are unhealthy: probes are not heeded until one succeeds, upstream: "fastcgi://app"`)
	f(errorlog.LevelWarn, "peer is healthy", probed, "[warn] 4360#4360: peer is healthy, "+cgiURL)
	f(errorlog.LevelError, "no live upstreams",
		[]any{"exchange", ex, "upstream", "app", "scheme", "http", "uri", "/favicon.ico"},
		"[error] 4360#4360: *967 no live upstreams while connecting to upstream, "+
			who+`, upstream: "http://app/favicon.ico", `+host+", "+from)
	f(errorlog.LevelError, "no live upstreams",
		[]any{"exchange", ex, "upstream", "app", "scheme", "fastcgi", "uri", "/favicon.ico"},
		"[error] 4360#4360: *967 no live upstreams while connecting to upstream, "+
			who+`, upstream: "fastcgi://app", `+host+", "+from)
	group := []any{"exchange", ex, "upstream", "app", "scheme", "http", "uri", "/favicon.ico"}
	const groupURL = `upstream: "http://app/favicon.ico"`
	f(errorlog.LevelError, "queue full", with(group, "waiting", 1000),
		"[error] 4360#4360: *967 queue is full (1000 requests wait) while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "client queue full", with(group, "waiting", 250),
		"[error] 4360#4360: *967 queue is full for this client (250 of its requests wait) while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "deadline passed", with(peer, "took", "5s", "phase", "reading response header from upstream"),
		"[error] 4360#4360: *967 request has no answer within its deadline (5s) while reading response header from upstream, "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelError, "request refused as poison", with(group, "kills", 2, "left", "60s"),
		"[error] 4360#4360: *967 request is refused for 60s: 2 processes have ended with it (poison_guard) while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "request hangs everywhere", with(peer, "processes", 2),
		"[error] 4360#4360: *967 request is sent to nobody else: 2 processes have hung or ended with it (poison_guard), "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelError, "no slot free", with(group, "took", "60s"),
		"[error] 4360#4360: *967 no process became free in 60s while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "no peer resolved", with(group, "took", "30s"),
		"[error] 4360#4360: *967 no host name was resolved in 30s while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "no process ready", with(group, "took", "30s"),
		"[error] 4360#4360: *967 no process became ready in 30s while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelInfo, "client left queue", group,
		"[info] 4360#4360: *967 client prematurely closed connection while connecting to upstream, "+
			who+", "+groupURL+", "+host+", "+from)
	f(errorlog.LevelError, "process stuck", with(peer, "took", "60s"),
		"[error] 4360#4360: *967 request took longer than busy_timeout (60s), the process is stopped, "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelWarn, "retry budget used up", with(peer, "retries", 30, "phase", "reading response header from upstream"),
		"[warn] 4360#4360: *967 retry budget is used up (30 retries in 10s), this failure and others are final "+
			"while reading response header from upstream, "+who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelWarn, "peer disabled", with(peer, "phase", "connecting to upstream"),
		"[warn] 4360#4360: *967 upstream server temporarily disabled while connecting to upstream, "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelWarn, "response spilled", with(peer, "file", "temp/0000000001"),
		"[warn] 4360#4360: *967 an upstream response is buffered to a temporary file temp/0000000001 "+
			"while reading upstream, "+who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelCrit, "spill failed", with(peer, "file", "temp/1", "err", errors.New("the budget is used up")),
		"[crit] 4360#4360: *967 the budget is used up while reading upstream; the response goes on at the client's speed, "+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelWarn, "request spilled", []any{"exchange", ex, "file", "temp/0000000001"},
		"[warn] 4360#4360: *967 a client request body is buffered to a temporary file temp/0000000001, "+
			who+", "+host+", "+from)
	f(errorlog.LevelError, "request body too large", []any{"exchange", ex, "bytes", int64(1265648)},
		"[error] 4360#4360: *967 client intended to send too large body: 1265648 bytes, "+who+", "+host+", "+from)
	f(errorlog.LevelError, "chunked request body too large", []any{"exchange", ex, "bytes", 1048577},
		"[error] 4360#4360: *967 client intended to send too large chunked body: 1048577 bytes, "+who+", "+host+", "+from)
	f(errorlog.LevelInfo, "client gone", with(peer, "phase", "reading upstream"),
		"[info] 4360#4360: *967 client prematurely closed connection, so upstream connection is closed too "+
			"while reading upstream, "+who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelInfo, "client gone", []any{"exchange", ex},
		"[info] 4360#4360: *967 client prematurely closed connection, so upstream connection is closed too, "+
			who+", "+host+", "+from)
	f(errorlog.LevelInfo, "client closed during request body", []any{"exchange", ex},
		"[info] 4360#4360: *967 client prematurely closed connection, "+who+", "+host+", "+from)
	f(errorlog.LevelError, "process stderr",
		with(cgi, "phase", "reading response header from upstream", "text", "PHP Warning: \x1b[31mx\ny\n"),
		`[error] 4360#4360: *967 FastCGI sent in stderr: "PHP Warning: \x1B[31mx\x0Ay" `+
			"while reading response header from upstream, "+who+", "+cgiURL+", "+host+", "+from)
	f(errorlog.LevelWarn, "excess body", peer,
		`[warn] 4360#4360: *967 upstream sent more data than specified in "Content-Length" header while reading upstream, `+
			who+", "+httpURL+", "+host+", "+from)
	f(errorlog.LevelCrit, "request body not held", []any{"exchange", ex, "err", errors.New("the budget is used up")},
		"[crit] 4360#4360: *967 the budget is used up, "+who+", "+host+", "+from)
	f(errorlog.LevelError, "request not sent", with(cgi, "phase", "sending request to upstream", "err", errors.New("x")),
		"[error] 4360#4360: *967 x while sending request to upstream, "+who+", "+cgiURL+", "+host+", "+from)
	f(errorlog.LevelAlert, "panic", []any{"exchange", ex, "phase", "reading upstream", "stack", "a\nb", "err", "boom"},
		"[alert] 4360#4360: *967 panic while reading upstream: boom, "+who+", "+host+", "+from+`, stack: "a\x0Ab"`)
}

func TestHandler_NginxWordsForRefusedRequests(t *testing.T) {
	ex := &proxy.Exchange{Conn: 5, RemoteAddr: "192.0.2.1"}
	f := func(err any, want string) {
		t.Helper()
		got := line(t, errorlog.Nginx, errorlog.LevelInfo, "request refused", "exchange", ex, "err", err)
		if want = head + "[info] 4360#4360: *5 " + want + ", client: 192.0.2.1, server: "; got != want {
			t.Errorf("%v:\n got %s\nwant %s", err, got, want)
		}
	}
	f("client sent invalid method while reading client request line",
		"client sent invalid method while reading client request line")
	f("client sent invalid host header", "client sent invalid host header while reading client request headers")
	f(&proxy.StatusError{Code: 408, Err: errors.New("late")}, "client timed out while reading client request headers")
	f(&proxy.StatusError{Code: 400, Err: errors.New("two lengths")},
		"client sent invalid request: two lengths while reading client request headers")
	f(&proxy.StatusError{Code: 400}, "client sent invalid request: 400 Bad Request while reading client request headers")
	f(errors.New("two lengths"), "client sent invalid request: two lengths while reading client request headers")
}

func TestHandler_NginxLinesOfOtherMessages(t *testing.T) {
	f := func(level slog.Level, want, message string, args ...any) {
		t.Helper()
		if got := line(t, errorlog.Nginx, level, message, args...); got != head+want {
			t.Errorf("%s:\n got %s\nwant %s", message, got, head+want)
		}
	}
	f(errorlog.LevelNotice, "[notice] 4360#4360: reconfiguring", "reconfiguring")
	f(errorlog.LevelWarn, "[warn] 4360#4360: process started, backend: django, process: 3, pid: 1234, restarts: 2",
		"process started", "backend", "django", "process", 3, "pid", 1234, "restarts", 2)
	f(errorlog.LevelWarn, `[warn] 4360#4360: process exited: django/3 (pid 1234, port 9003) after 2s: exit code 1, reason: exited, `+
		`at most 83886080 bytes of memory; its last output: Traceback\x0AKeyError: 'x'`, "process exited", "backend", "django", "process", 3, "port", 9003, "pid", 1234,
		"code", 1, "took", 2*time.Second, "reason", "exited", "memory", 80<<20,
		"output", "Traceback\nKeyError: 'x'", "err", "exit code 1")
	f(errorlog.LevelWarn, "[warn] 4360#4360: port taken: django: port 9003 is taken", "port taken", "backend", "django", "err", "port 9003 is taken")
	f(errorlog.LevelError, `[error] 4360#4360: django/3 (pid 1234) stderr: ValueError: "x", y`,
		"process output", "backend", "django", "process", 3, "pid", 1234, "stream", "stderr", "line", "ValueError: \"x\", y\r\n")
	f(errorlog.LevelEmerg, `[emerg] 4360#4360: config refused, file: "C:\\my site\\a.yaml", empty: "", took: 1.5s, `+
		`at: 2026-11-20T11:04:38.000Z, ok: true, err: "say \"no\""`,
		"config refused", "file", `C:\\my site\\a.yaml`, "empty", "", "took", 1500*time.Millisecond,
		"at", when(), "ok", true, "err", errors.New(`say "no"`))
	f(errorlog.LevelInfo, `[info] 4360#4360: *967 request slow, took: 9s, `+who+", "+host+", "+from,
		"request slow", "exchange", sample(), "took", 9*time.Second)
	f(errorlog.LevelInfo, `[info] 4360#4360: peer added, upstream: app, peer: 127.0.0.1:1, limits.slots: 4`,
		"peer added", "upstream", "app", "peer", "127.0.0.1:1", slog.Group("limits", "slots", 4))
}

// What a program says last is why it ended: of too much output the newest lines are there, and whole.
func TestHandler_NewestOutput(t *testing.T) {
	traceback := strings.Repeat("  File \"/srv/app/views.py\", line 12, in view\n", 100)
	f := func(format errorlog.Format, message, output, want string) {
		t.Helper()
		got := line(t, format, errorlog.LevelWarn, message, "backend", "django", "process", 3, "port", 9003, "pid", 1234,
			"took", time.Second, "failures", 5, "window", "1m0s", "output", output, "err", "exit code 1")
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s\nwant %s in it", message, got, want)
		}
	}
	const last = "KeyError: 'x'"
	f(errorlog.Nginx, "process exited", traceback+last, `line 12, in view\x0A`+last)
	f(errorlog.Nginx, "process given up", traceback+last, last+"; when that is mended, `spillway restart django` starts it")
	f(errorlog.JSON, "process exited", traceback+last, `line 12, in view\n`+last+`"`)
	long := strings.Repeat("x", 1500)
	f(errorlog.Nginx, "process exited", traceback+long, "its last output: "+long)
	f(errorlog.Nginx, "process exited", traceback+strings.Repeat("y", 5000), "its last output: yyy")
	f(errorlog.Nginx, "process exited", strings.Repeat("\x1b[31m\n", 500)+last, `\x1B[31m\x0A`+last)
	f(errorlog.Nginx, "process exited", "", "exit code 1")
}

func TestHandler_NginxWordsForFileErrors(t *testing.T) {
	err := fmt.Errorf("spill: %w", &fs.PathError{Op: "open", Path: "temp/1", Err: errNoFile})
	got := line(t, errorlog.Nginx, errorlog.LevelCrit, "spill failed", "err", err)
	want := head + "[crit] 4360#4360: " + openCall + ` "temp/1" failed (` + noFile + `) while reading upstream; ` +
		"the response goes on at the client's speed"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestHandler_JSON(t *testing.T) {
	got := line(t, errorlog.JSON, errorlog.LevelError, "peer failed", "exchange", sample(), "upstream", "app",
		"peer", "127.0.0.1:9000", "attempt", 1, "took", 1500*time.Millisecond, "ok", false, "err", errRefused)
	want := `{"time":"2026-11-20T11:04:38.000Z","level":"error","msg":"peer failed","exchange":967,"client":"10.10.0.182",` +
		`"server":"localhost","request":"GET /favicon.ico HTTP/1.1","host":"10.10.0.5:8113",` +
		`"referrer":"http://10.10.0.5:8113/","upstream":"app","peer":"127.0.0.1:9000","attempt":1,"took":1.5,"ok":false,` +
		`"err":"connect() failed (111: Connection refused)"}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func sample() *proxy.Exchange {
	request := &fasthttp.RequestHeader{}
	request.SetHost("10.10.0.5:8113")
	request.Set("Referer", "http://10.10.0.5:8113/")
	return &proxy.Exchange{
		Request: request, Method: []byte("GET"), Target: []byte("/favicon.ico"), Proto: []byte("HTTP/1.1"),
		RemoteAddr: "10.10.0.182", Conn: 967, Route: &proxy.Route{Site: &proxy.Site{Name: "localhost"}},
	}
}

func when() time.Time { return time.Date(2026, 11, 20, 11, 4, 38, 0, time.UTC) }

// line logs one record and returns its line without the end.
func line(t *testing.T, format errorlog.Format, level slog.Level, message string, args ...any) string {
	t.Helper()
	out := &bytes.Buffer{}
	h, err := errorlog.New(errorlog.Options{Out: out, Level: errorlog.LevelDebug, Format: format, PID: 4360})
	if err != nil {
		t.Fatal(err)
	}
	at := when()
	if format == errorlog.Nginx {
		at = time.Date(2026, 11, 20, 11, 4, 38, 0, time.Local)
	}
	r := slog.NewRecord(at, level, message, 0)
	r.Add(args...)
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(out.String(), "\r\n")
}
