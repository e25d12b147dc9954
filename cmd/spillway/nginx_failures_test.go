//go:build linux && !race

package main_test

import (
	"strings"
	"testing"
)

func TestNginx_Failures(t *testing.T) {
	good := says(ok("good"))
	compare(t, withTimes, []*trial{
		// One peer that fails.
		{place: several("refused", refusing()), send: []string{get("/x?y", "Referer: http://r/"), get("/")}},
		{place: one("closes-at-once", then("", closes)), send: []string{get("/")}},
		{place: one("resets-at-once", then("", resets)), send: []string{get("/")}},
		{place: one("closes-in-head", then("HTTP/1.1 200 OK\r\nX-A: b\r\n", closes)), send: []string{get("/")}},
		{place: one("closes-in-status", then("HTTP/1.1 2", closes)), send: []string{get("/")}},
		{place: one("garbage", then("garbage\r\n\r\n", closes)), send: []string{get("/", "Connection: close")}, differs: []string{"garbage is refused"}},
		{place: one("other-protocol", then("\x15\x03\x01\x00\x02\x02\x16", closes)), send: []string{get("/", "Connection: close")}, differs: []string{"garbage is refused"}},
		{place: one("status-of-letters", then("HTTP/1.1 abc OK\r\n\r\n", closes)), send: []string{get("/", "Connection: close")}, differs: []string{"garbage is refused"}},
		{place: one("status-too-long", then("HTTP/1.1 99999 OK\r\n\r\n", closes)), send: []string{get("/", "Connection: close")}, differs: []string{"garbage is refused"}},
		{place: one("bad-field", then("HTTP/1.1 200 OK\r\nX A: b\r\n\r\n", closes)), send: []string{get("/")}},
		{place: one("zero-in-field", then("HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n", closes)), send: []string{get("/")}},
		{place: one("field-without-colon", then("HTTP/1.1 200 OK\r\nabc\r\n\r\n", closes)), send: []string{get("/")}, differs: []string{"line without colon is refused"}},
		{place: one("too-big-head", says(ok("x", "X-Big: "+strings.Repeat("x", 5000)))).with("buffer_size 4k", "buffers 4 4k"), send: []string{get("/")}},
		{place: one("two-lengths", says(ok("x", "Content-Length: 2"))), send: []string{get("/")}, differs: []string{"doubtful length is refused"}},
		{place: one("bad-length", then(head("200 OK", "Content-Length: x")+"x", closes)), send: []string{get("/")}, differs: []string{"doubtful length is refused"}},
		{place: one("length-and-chunks", says(head("200 OK", "Content-Length: 3", "Transfer-Encoding: chunked")+inChunks("hello"))), send: []string{get("/")}, differs: []string{"short body has a length"}},
		{place: one("unknown-coding", then(head("200 OK", "Transfer-Encoding: gzip")+"hello", closes)), send: []string{get("/")}, differs: []string{"doubtful length is refused"}},
		{place: one("unasked-upgrade", then(head("101 Switching Protocols", "Upgrade: x", "Connection: upgrade")+"x", closes)), send: []string{get("/")}, brief: true, differs: []string{"unasked upgrade is refused"}},
		{place: one("silent", then("", hangs)).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: one("silent-in-head", then("HTTP/1.1 200 OK\r\n", hangs)).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"reason"}},

		// After the head.
		{place: one("short-body", then(head("200 OK", "Content-Length: 100")+"hello", closes)), send: []string{get("/")}},
		{place: one("short-large-body", then(head("200 OK", "Content-Length: 2000000")+large, closes)), send: []string{get("/")}},
		{place: one("reset-in-body", then(head("200 OK", "Content-Length: 100")+"hello", resets)), send: []string{get("/")}, differs: []string{"reset in a body"}},
		{place: one("short-chunks", then(head("200 OK", "Transfer-Encoding: chunked")+"5\r\nhello\r\n", closes)), send: []string{get("/")}, differs: []string{"chunk framing is not counted"}},
		{place: one("bad-chunks", then(head("200 OK", "Transfer-Encoding: chunked")+"5\r\nhello\r\nxyz\r\n", closes)), send: []string{get("/")}, differs: []string{"cut before it was begun"}},
		{place: one("hangs-in-body", then(head("200 OK", "Content-Length: 100")+"hello", hangs)).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"what came is sent"}},
		{place: one("long-body", says(ok("hello")+"surplus")).kept(), send: []string{get("/1"), get("/2")}, differs: []string{"surplus is not counted"}},
		{place: one("body-after-head-request", says(ok("hello"))).kept(), send: []string{request("HEAD /1", ""), get("/2")}, differs: []string{"body after HEAD"}},
		{place: one("body-of-no-content", says(head("204 No Content")+"hello")).kept(), send: []string{get("/1"), get("/2")}, differs: []string{"surplus is not counted"}},

		// Retries.
		{place: several("retry-refused", refusing(), answering(good)), send: []string{get("/1"), get("/2")}},
		{place: several("retry-refused-post", refusing(), answering(good)), send: []string{request("POST /", "body")}},
		{place: several("retry-closed", answering(then("", closes)), answering(good)), send: []string{get("/")}},
		{place: several("no-retry-of-post", answering(then("", closes)), answering(good)), send: []string{request("POST /", "body")}},
		{place: several("retry-of-put", answering(then("", closes)), answering(good)), send: []string{request("PUT /", "body")}},
		{place: several("retry-non-idempotent", answering(then("", closes)), answering(good)).
			with("next_upstream error timeout non_idempotent"), send: []string{request("POST /", large[:100<<10])}},
		{place: several("retry-garbage-off", answering(then("garbage\r\n\r\n", closes)), answering(good)), send: []string{get("/", "Connection: close")}, differs: []string{"garbage is refused"}},
		{place: several("retry-bad-field", answering(then("HTTP/1.1 200 OK\r\nX A: b\r\n\r\n", closes)), answering(good)).
			with("next_upstream invalid_header"), send: []string{get("/")}},
		{place: several("no-retry-of-bad-field", answering(then("HTTP/1.1 200 OK\r\nX A: b\r\n\r\n", closes)), answering(good)), send: []string{get("/")}},
		{place: several("retry-timeout", answering(then("", hangs)), answering(good)).with("read_timeout 200ms"), send: []string{get("/")}, differs: []string{"cause before effect"}},
		{place: several("retry-500", answering(says(response("500 Oops", "bad"))), answering(good)).with("next_upstream error http_500"), send: []string{get("/1"), get("/2")}},
		{place: several("retry-503-all", answering(says(response("503 Bad", "one"))), answering(says(response("503 Bad", "two", "X-A: b")))).
			with("next_upstream http_503"), send: []string{get("/")}, differs: []string{"reason"}},
		{place: several("no-retry-of-502", answering(says(response("502 Bad", "bad"))), answering(good)), send: []string{get("/")}, differs: []string{"reason"}},
		{place: several("retry-404", answering(says(response("404 None", "bad"))), answering(good)).with("next_upstream http_404"), send: []string{get("/1"), get("/2")}},
		{place: several("retry-500-post", answering(says(response("500 Oops", "bad"))), answering(good)).
			with("next_upstream http_500"), send: []string{request("POST /", "body")}, differs: []string{"reason"}},
		{place: several("retry-off", refusing(), answering(good)).with("next_upstream off"), send: []string{get("/")}},
		{place: several("tries", refusing(), refusing(), answering(good)).with("next_upstream_tries 2"), send: []string{get("/")}},
		{
			place: several("retry-all-fail", refusing(), answering(then("", closes)), refusing()), send: []string{get("/1"), get("/2")},
			differs: []string{"peers that have all failed are asked"},
		},
		{place: several("retry-short-body", answering(then(head("200 OK", "Content-Length: 100")+"hello", closes)), answering(good)), send: []string{get("/")}},

		// Peers that are not asked.
		{place: several("down", answering(good).as("down"), answering(good)), send: []string{get("/1"), get("/2")}},
		{place: several("backup", refusing(), answering(good).as("backup")), send: []string{get("/1"), get("/2")}},
		{place: several("all-down", answering(good).as("down"), answering(good).as("down")), send: []string{get("/1"), request("POST /2", "body")}},
		{place: several("weights", answering(good).as("weight=3"), answering(good)), send: []string{get("/1"), get("/2"), get("/3"), get("/4"), get("/5")}},
		{place: several("disabled", refusing().as("max_fails=2"), answering(good)), send: []string{get("/1"), get("/2"), get("/3"), get("/4"), get("/5")}},
		{place: several("never-disabled", refusing().as("max_fails=0"), answering(good)), send: []string{get("/1"), get("/2"), get("/3"), get("/4")}},

		// The request's body.
		{place: one("too-large", good).with("client_max_body_size 1k"), send: []string{request("POST /", large[:2000])}},
		{place: one("too-large-chunked", good).with("client_max_body_size 1k"), send: []string{chunkedRequest("POST /", large[:2000])}, differs: []string{"one count of a chunked body"}},
		{place: one("too-large-expected", good).with("client_max_body_size 1k"), send: []string{
			"POST {}/ HTTP/1.1\r\nHost: " + serverName + "\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n",
		}},
		{place: one("just-fits", good).with("client_max_body_size 1k"), send: []string{request("POST /", large[:1024])}},
		{place: one("no-limit", good).with("client_max_body_size 0"), send: []string{request("POST /", large+large)}},
		{place: one("request-spill", good).with("client_body_buffer_size 8k"), send: []string{request("POST /", large[:100<<10])}},
		{place: one("request-spill-chunked", good).with("client_body_buffer_size 8k"), send: []string{chunkedRequest("POST /", large[:100<<10])}, differs: []string{"chunk framing is not counted"}},
		{place: one("bad-request-chunk", good), send: []string{request("POST /", "", "Transfer-Encoding: chunked") + "xyz\r\n"}, differs: []string{"bad chunk of a request"}},

		// Slow and leaving clients.
		{place: one("response-spill", says(ok(strings.Repeat(large, 12)))), send: []string{get("/")}, hold: "buffered to a temporary file"},
		{place: one("client-leaves", then("", hangs)), send: []string{get("/")}, leaves: true, differs: []string{"phase of a client's leaving"}},
		{place: one("client-leaves-post", then("", hangs)), send: []string{request("POST /", "body")}, leaves: true, differs: []string{"phase of a client's leaving"}},
	})
}
