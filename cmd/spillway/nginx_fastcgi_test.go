//go:build linux && !race

package main_test

import (
	"strings"
	"testing"
)

// php is a place as most have it for PHP.
func php(name string, answers ...reaction) *place {
	p := one(name, answers...).with("root site", "index index.php", `split_path_info ^(.+?\.php)(/.*)$`)
	p.protocol = "fastcgi"
	return p
}

// app is a place for an application without scripts.
func app(name string, peers ...*peer) *place {
	p := several(name, peers...)
	p.protocol = "fastcgi"
	return p
}

func TestNginx_FastCGI(t *testing.T) {
	page := "Content-Type: text/html\r\n\r\nhello"
	hello := says(cgi(page))
	good := answering(says(cgi("Status: 200 OK\r\n\r\ngood")))
	noEnd := record(fcgiStdout, page+large)
	trials := []*trial{
		// The environment.
		{place: php("php-script", hello), send: []string{get("/a.php")}},
		{place: php("php-index", hello), send: []string{get("/")}},
		{place: php("php-path-info", hello), send: []string{get("/a.php/b/%63?d=e&f")}},
		{place: php("php-no-match", hello), send: []string{get("/a/b")}},
		{place: php("php-post", hello), send: []string{request("POST /a.php?x=y", "a=1", "Content-Type: application/x-www-form-urlencoded")}},
		{place: php("php-post-chunked", hello), send: []string{chunkedRequest("POST /a.php", "a=1", "&b=2")}, differs: []string{"chunk framing is not counted"}},
		{place: php("php-post-empty", hello), send: []string{request("POST /a.php", "", "Content-Length: 0")}},
		{place: php("php-post-large", hello), send: []string{request("POST /a.php", large)}},
		{place: php("php-fields", hello), send: []string{get("/a.php", "X-A: 1", "x-lower-Case: b", "Accept: a", "Accept: b", "Cookie: a=b",
			"Cookie: c=d", "X-Empty:", "Proxy: http://evil", "X_Under: x", "Content-Type: text/odd", "Authorization: Basic dXNlcjpwdw==",
			"X-Forwarded-For: 9.9.9.9", "If-Modified-Since: x", "Range: bytes=0-1")}, differs: []string{"CGI variables once", "dropped field is not logged"}},
		{place: php("php-hop-by-hop", hello), send: []string{get("/a.php", "Connection: keep-alive, X-Named", "X-Named: a", "Keep-Alive: 1",
			"TE: trailers", "Upgrade: foo", "Proxy-Authorization: x")}, differs: []string{"hop-by-hop CGI variables"}},
		{place: php("php-encoded", hello), send: []string{get("/%61%20b//./c.php/%3f?%41")}},
		{place: php("php-head", hello), send: []string{request("HEAD /a.php", "")}},
		{place: php("php-http10", hello), send: []string{http10(get("/a.php"))}},
		{place: php("php-host-port", hello), send: []string{strings.Replace(get("/a.php"), serverName, serverName+":8080", 1)}, differs: []string{"HTTP_HOST with the port"}},

		// Responses.
		{place: app("fcgi-status", answering(says(cgi("Status: 404 Nope\r\nContent-Type: text/x\r\n\r\nbody")))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: app("fcgi-status-only", answering(says(cgi("Status: 500\r\n\r\n")))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: app("fcgi-location", answering(says(cgi("Location: http://elsewhere/\r\n\r\n")))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: app("fcgi-location-status", answering(says(cgi("Status: 301 Moved\r\nLocation: /x\r\n\r\nmoved")))), send: []string{get("/")}, differs: []string{"reason"}},
		{place: app("fcgi-line-feeds", answering(says(cgi("Content-Type: text/x\nX-A: b\n\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-length", answering(says(cgi("Content-Length: 4\r\n\r\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-cookies", answering(says(cgi("Set-Cookie: b=1\r\nX-A: 2\r\nSet-Cookie: a=2\r\nX-A: 1\r\n\r\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-hop-by-hop", answering(says(cgi("Connection: X-Foo\r\nX-Foo: a\r\nUpgrade: x\r\nKeep-Alive: x\r\nTransfer-Encoding: chunked\r\n\r\nbody")))), send: []string{get("/")}, differs: []string{"hop-by-hop fields of responses"}},
		{place: app("fcgi-no-content", answering(says(cgi("Status: 204 No Content\r\n\r\n")))), send: []string{get("/")}},
		{place: app("fcgi-large", answering(says(cgi("Content-Type: text/x\r\n\r\n"+large)))), send: []string{get("/")}},
		{place: app("fcgi-large-length", answering(says(cgi("Content-Length: 1048576\r\n\r\n"+large)))), send: []string{get("/")}},
		{place: app("fcgi-kept", answering(hello)).kept(), send: []string{get("/1"), request("POST /2", "body"), get("/3")}},

		// Standard error.
		{place: app("stderr", answering(says(record(fcgiStderr, "PHP message: oops")+cgi(page)))), send: []string{get("/")}},
		{place: app("stderr-in-body", answering(says(record(fcgiStdout, page)+record(fcgiStderr, "late\n")+cgi(" more")))), send: []string{get("/")}, differs: []string{"phase of stderr"}},
		{place: app("stderr-lines", answering(says(record(fcgiStderr, "one\ntwo\x1b[1m\n")+cgi(page)))), send: []string{get("/")}, differs: []string{"stderr is escaped"}},
		{place: app("stderr-only", answering(says(record(fcgiStderr, "fatal")+cgi("")))), send: []string{get("/")}},

		// Failures.
		{place: app("fcgi-refused", refusing()), send: []string{get("/")}},
		{place: app("fcgi-closes-at-once", answering(then("", closes))), send: []string{get("/")}},
		{place: app("fcgi-closes-in-record", answering(then(noEnd[:10], closes))), send: []string{get("/")}},
		{place: app("fcgi-resets", answering(then("", resets))), send: []string{get("/")}},
		{place: app("fcgi-garbage", answering(then("HTTP/1.1 200 OK\r\n\r\n", closes))), send: []string{get("/")}},
		{place: app("fcgi-no-head", answering(says(cgi("just text")))), send: []string{get("/")}},
		{place: app("fcgi-bad-status", answering(says(cgi("Status: abc\r\n\r\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-bad-field", answering(says(cgi("X A: b\r\n\r\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-too-big-head", answering(says(cgi("X-Big: "+strings.Repeat("x", 5000)+"\r\n\r\n")))).with("buffer_size 4k", "buffers 4 4k"), send: []string{get("/")}, differs: []string{"record headers need no buffer"}},
		{place: app("fcgi-no-end", answering(then(noEnd, closes))), send: []string{get("/")}, differs: []string{"FastCGI cut is told"}},
		{place: app("fcgi-no-end-kept", answering(then(noEnd, closes))).kept(), send: []string{get("/")}, differs: []string{"words of a FastCGI cut"}},
		{place: app("fcgi-short-body", answering(says(cgi("Content-Length: 2000000\r\n\r\n"+large)))), send: []string{get("/")}},
		{place: app("fcgi-long-body", answering(says(cgi("Content-Length: 2\r\n\r\nbody")))), send: []string{get("/")}},
		{place: app("fcgi-silent", answering(then("", hangs))).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: app("fcgi-retry", refusing(), good), send: []string{get("/"), get("/")}},
		{place: app("fcgi-retry-closed", answering(then("", closes)), answering(hello)), send: []string{get("/")}},
		{place: app("fcgi-no-retry-of-post", answering(then("", closes)), answering(hello)), send: []string{request("POST /", "body")}},
		{place: app("fcgi-retry-503", answering(says(cgi("Status: 503 X\r\n\r\nbad"))), answering(hello)).with("next_upstream http_503"), send: []string{get("/")}},
		{place: app("fcgi-all-down", answering(hello).as("down"), answering(hello).as("down")), send: []string{get("/")}},
		{place: app("fcgi-client-leaves", answering(then("", hangs))), send: []string{get("/")}, leaves: true, differs: []string{"phase of a client's leaving"}},
	}
	for _, tr := range trials {
		tr.differs = append(tr.differs, "short body has a length") // FastCGI seldom declares one
	}
	compare(t, withTimes, trials)
}

// TestNginx_Combined is about the format that most have.
func TestNginx_Combined(t *testing.T) {
	page := says(ok("hello"))
	compare(t, "combined", []*trial{
		{place: one("plain", page), send: []string{get("/a?b")}},
		{place: one("all-parts", page), send: []string{get("/", "Referer: http://r/?\"x\"", "User-Agent: Agent/1 (\t\\)\xe4",
			"Authorization: Basic dXNlcjpwdw==")}},
		{place: one("long-agent", page), send: []string{get("/", "User-Agent: "+strings.Repeat("x", 5000))}},
		{place: several("bad-gateway", refusing()), send: []string{get("/")}},
		{place: one("post", page), send: []string{request("POST /", "body")}},
		{place: one("head", says(head("200 OK", "Content-Length: 5"))), send: []string{request("HEAD /", "", "Connection: close")}},
	})
}
