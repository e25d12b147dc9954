//go:build linux && !race

package main_test

import "testing"

// inBoth adds a setting that the two languages write in different ways; {} stands for the location's path without its last slash.
func (p *place) inBoth(nginx, yaml string) *place {
	p.twice = append(p.twice, [2]string{nginx, yaml})
	return p
}

// cookies is an answer with the Set-Cookie fields.
func cookies(values ...string) reaction {
	var fields []string
	for _, v := range values {
		fields = append(fields, "Set-Cookie: "+v)
	}
	return says(ok("x", fields...))
}

// TestNginx_Fields: what becomes of the fields of a peer's response.
func TestNginx_Fields(t *testing.T) {
	hidden := says(ok("x", "Server: own", "X-Pad: a", "X-Powered-By: php", "X-Accel-Expires: 1", "X-Accel-Foo: 2", "x-odd: 3"))
	trials := []*trial{
		// Hidden and passed on.
		{place: one("hide", hidden).inBoth("proxy_hide_header X-Powered-By; proxy_hide_header X-ODD;", "hide_header: [X-Powered-By, X-ODD]"), differs: []string{"other X-Accel fields"}},
		{place: one("pass", hidden).inBoth("proxy_pass_header X-Pad; proxy_pass_header X-Accel-Expires;", "pass_header: X-Pad X-Accel-Expires"), differs: []string{"other X-Accel fields"}},
		{place: one("pass-server", hidden).inBoth("proxy_pass_header Server;", "pass_header: [Server]"), differs: []string{"other X-Accel fields"}},

		// Redirects.
		{place: one("redirect-off", says(response("302 Found", "", "Location: http://redirect-off/x"))).inBoth("proxy_redirect off;", "redirect: off")},
		{place: one("redirect-name", says(response("302 Found", "", "Location: http://redirect-name/x?y"))), differs: []string{"rewritten URL stays relative"}},
		{place: one("redirect-other", says(response("302 Found", "", "Location: http://redirect-otherx/x?y")))},
		{place: one("redirect-refresh", says(ok("x", "Refresh: 5; URL=http://redirect-refresh/x")))},
		{place: one("redirect-odd-refresh", says(ok("x", "Refresh: 5; http://redirect-odd-refresh/x")))},
		{place: one("redirect-rules", says(response("302 Found", "", "Location: http://app.test:8000/two/x"))).
			inBoth("proxy_redirect http://other/ /; proxy_redirect http://app.test:8000/two/ http://$host/one/;",
				`redirect: {"http://other/": /, "http://app.test:8000/two/": "http://$host/one/"}`)},
		{place: one("redirect-relative", says(response("302 Found", "", "Location: /two/x"))).
			inBoth("proxy_redirect /two/ /one/;", `redirect: {/two/: /one/}`), differs: []string{"rewritten URL stays relative"}},
		{place: one("redirect-case", says(response("302 Found", "", "Location: HTTP://redirect-case/x")))},

		// Cookies.
		{place: one("cookie-domain", cookies("a=b; Domain=.LOCALHOST; Path=/", "c=d;domain=localhost", "e=f; domain=localhost2; x", "g; domain=localhost")).
			inBoth("proxy_cookie_domain localhost $host;", "cookie_domain: {localhost: $host}")},
		{place: one("cookie-path", cookies("a=b; Path=/app/x; Secure", "c=d; path=/App/", "e=f; Path = /app/; HttpOnly", "/app/=/app/")).
			inBoth("proxy_cookie_path /app/ /;", "cookie_path: {/app/: /}")},
		{place: one("cookie-both", cookies("a=b;Path=/app/x;  Domain=localhost;Max-Age=3")).
			inBoth("proxy_cookie_path /app/ /; proxy_cookie_domain localhost .example.com;", "cookie_path: {/app/: /}\n        cookie_domain: {localhost: .example.com}")},
		{place: one("cookie-flags", cookies("session=1", "Session=2; secure; HTTPONLY; SameSite=None", "other=3; SameSite=Strict; Secure", "third=4; Path=/; secure")).
			inBoth("proxy_cookie_flags session secure httponly samesite=lax; proxy_cookie_flags other nosecure nohttponly nosamesite; proxy_cookie_flags ~^THI samesite=strict;",
				`cookie_flags: {session: secure httponly samesite=lax, other: nosecure nohttponly nosamesite, "~^THI": samesite=strict}`)},

		// Added.
		{place: one("add", says(ok("x", "X-A: 0", "Cache-Control: private"))).
			inBoth(`add_header X-A "$host 1"; add_header X-Empty $arg_none; add_header X-Always 2 always;`,
				`add_header: {X-A: $host 1, X-Empty: $arg_none, X-Always: {value: 2, always: on}}`)},
		{place: one("add-404", says(response("404 Not Found", "x"))).inBoth(`add_header X-A 1; add_header X-B $upstream_status always;`,
			`add_header: {X-A: 1, X-B: {value: $upstream_status, always: on}}`)},
		{place: one("add-201", says(response("201 Created", "x"))).inBoth(`add_header X-A 1;`, `add_header: {X-A: 1}`)},
		{place: one("add-304", says(head("304 Not Modified"))).inBoth(`add_header X-A 1;`, `add_header: {X-A: 1}`)},
		{place: several("add-502", refusing()).inBoth(`add_header X-A 1; add_header X-B 2 always;`,
			`add_header: {X-A: 1, X-B: {value: 2, always: on}}`)},

		// X-Accel.
		{place: one("accel-charset", says(ok("x", "Content-Type: text/html", "X-Accel-Charset: koi8-r"))).inBoth("source_charset koi8-r;", "# nginx has to know of it")},
		{place: one("accel-charset-own", says(ok("x", "Content-Type: text/html; charset=utf-8; x=y", "X-Accel-Charset: koi8-r"))).inBoth("source_charset koi8-r;", "# nginx has to know of it"), differs: []string{"charset is not converted"}},
		{place: one("accel-charset-untyped", says(ok("x", "X-Accel-Charset: koi8-r"))).inBoth("source_charset koi8-r;", "# nginx has to know of it")},
		{place: one("accel-charset-off", says(ok("x", "Content-Type: text/html; charset=utf-8", "X-Accel-Charset: off"))).inBoth("source_charset koi8-r;", "# nginx has to know of it"), differs: []string{"charset is not converted"}},
		{place: one("accel-odd", says(ok("x", "X-Accel-Buffering: maybe", "X-Accel-Limit-Rate: -1", "X-Accel-Charset:")))},
		{place: one("accel-limit", says(ok("x", "X-Accel-Limit-Rate: 100000")))},
	}
	for _, tr := range trials {
		tr.send = []string{get("/")}
	}
	compare(t, withTimes, trials)
}
