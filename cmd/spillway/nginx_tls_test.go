//go:build linux && !race

package main_test

import (
	"crypto/tls"
	"strings"
	"testing"
)

// withTLS is withTimes and what is known of the client's TLS.
const withTLS = withTimes + ` scheme=$scheme https=$https protocol=$ssl_protocol cipher=$ssl_cipher ` +
	`sni=$ssl_server_name resumed=$ssl_session_reused`

func TestNginx_TLS(t *testing.T) {
	hello := says(ok("hello", "Content-Type: text/plain"))
	compareSecured(t, withTLS, []*trial{
		{place: one("secured", hello), send: []string{get("/a?b=c&d")}},
		{place: one("secured-by-1.2", hello), version: tls.VersionTLS12, send: []string{get("/")}},
		{place: one("secured-post", hello), send: []string{request("POST /", large)}},
		{place: one("secured-two", hello), send: []string{get("/1"), request("POST /2", "body"), get("/3")}},
		{place: one("secured-close", hello), send: []string{get("/", "Connection: close")}},
		{place: one("secured-large", says(ok(large))), send: []string{get("/1"), get("/2")}},
		{place: one("secured-chunked", says(head("200 OK", "Transfer-Encoding: chunked")+inChunks(large, "hello"))), send: []string{get("/")}, differs: []string{"chunk framing is not counted"}},
		{place: one("secured-http10", hello), send: []string{http10(get("/"))}},
		{place: one("secured-until-end", then(head("200 OK")+large, closes)), send: []string{http10(get("/"))}},
		{place: one("secured-cut", then(head("200 OK", "Content-Length: 2000000")+large, closes)), send: []string{get("/")}},
		{place: one("secured-spills", says(ok(strings.Repeat(large, 12)))), send: []string{get("/")}, hold: "buffered to a temporary file"},
		{place: one("secured-leaves", then("", hangs)), send: []string{get("/")}, leaves: true, differs: []string{"phase of a client's leaving", "reset behind a farewell"}},
		{place: php("secured-php", says(cgi("Content-Type: text/html\r\n\r\nhello"))), send: []string{get("/a.php")}, differs: []string{"short body has a length"}},
		{place: one("plain", hello), plain: true, send: []string{get("/a?b=c&d")}, differs: []string{"refused for want of TLS"}},
		{place: one("plain-post", hello), plain: true, send: []string{request("POST /", "body")}, differs: []string{"refused for want of TLS"}},
		{place: one("plain-bad", hello), plain: true, send: []string{"GET {}/ HTTP/1.1\r\n\r\n"}, differs: []string{"refused head"}},
		{place: one("plain-old", hello), plain: true, send: []string{http10(get("/"))}, differs: []string{"refused for want of TLS"}},
	})
}
