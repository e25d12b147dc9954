//go:build linux && !race

package main_test

import "testing"

// within adds a location for the same upstream.
func (p *place) within(path string, twice ...[2]string) *place {
	p.inner = append(p.inner, inner{path: path, internal: path[0] != '@', twice: twice})
	return p
}

// accel is an answer that leaves the response to another location.
func accel(to string, fields ...string) reaction {
	return says(ok("given up", append(fields, "X-Accel-Redirect: "+to)...))
}

// TestNginx_Redirects: X-Accel-Redirect, internal and named locations.
func TestNginx_Redirects(t *testing.T) {
	file := says(ok("file", "Content-Type: text/file"))
	bare := says(ok("file"))
	trials := []*trial{
		{place: one("accel", accel("/accel/inner/x?y=1", "Content-Type: a/b"), file).within("inner/"), send: []string{get("/?z", "X-A: 1")}},
		{place: one("accel-kept-conn", says(head("200 OK", "Content-Length: 0", "X-Accel-Redirect: /accel-kept-conn/inner/x")), file).kept().within("inner/"), send: []string{get("/"), get("/2")}},
		{place: one("accel-encoded", accel("/accel-encoded/inner/a%20b%3f%25+c?d=%20e"), file).within("inner/"), send: []string{get("/")}},
		{place: one("accel-kept", accel("/accel-kept/inner/", "Content-Type: a/b", "Set-Cookie: a=1", "Set-Cookie: b=2", "Cache-Control: private",
			"ETag: x", "X-Own: y", "Location: /z", "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT"), says(ok("x", "Set-Cookie: c=3", "Cache-Control: no-store"))).within("inner/"), send: []string{get("/")}},
		{place: one("accel-untyped", accel("/accel-untyped/inner/", "Content-Type: a/b", "Content-Disposition: attachment", "Expires: 0", "Accept-Ranges: bytes"), bare).
			within("inner/"), send: []string{get("/")}},
		{place: one("accel-head", says(head("200 OK", "Content-Length: 8", "X-Accel-Redirect: /accel-head/inner/")), says(head("200 OK", "Content-Length: 5"))).
			within("inner/"), send: []string{request("HEAD /", "")}},
		{place: one("accel-post", accel("/accel-post/inner/"), file).within("inner/"), differs: []string{"GET has no body"}, send: []string{request("POST /", "body", "Content-Type: x/y")}},
		{place: one("accel-status", says(response("404 Not Found", "x", "X-Accel-Redirect: /accel-status/inner/")), file).within("inner/"), send: []string{get("/")}},
		{place: one("accel-twice", accel("/accel-twice/inner/"), accel("/accel-twice/other/"), file).within("inner/").within("other/"), send: []string{get("/")}},
		{place: one("accel-named", accel("@accel-named", "Set-Cookie: a=1"), file).within("@accel-named"), send: []string{get("/x%20y?z")}},
		{place: one("accel-named-post", accel("@accel-named-post"), file).within("@accel-named-post"), send: []string{request("POST /x", "body")}},
		{place: one("accel-named-missing", accel("@accel-nobody")), differs: []string{"kept after 500"}, send: []string{get("/")}},
		{place: one("accel-cycle", accel("/accel-cycle/")), differs: []string{"kept after 500"}, send: []string{get("/")}},
		{place: one("accel-named-cycle", accel("@accel-named-cycle")).within("@accel-named-cycle"), differs: []string{"kept after 500"}, send: []string{get("/")}},
		{place: one("accel-unsafe", accel("/accel-unsafe/inner/../x")).within("inner/"), send: []string{get("/")}},
		{place: one("accel-unsafe-encoded", accel("/accel-unsafe-encoded/inner/%2e%2e/x", "Set-Cookie: a=1")).within("inner/"), send: []string{get("/")}},
		{place: one("accel-unsafe-end", accel("/accel-unsafe-end/inner/..")).within("inner/"), send: []string{get("/")}},
		{place: one("accel-dots", accel("/accel-dots/inner/..x/x../..."), file).within("inner/"), send: []string{get("/")}},
		{place: one("accel-relative", accel("inner/")), differs: []string{"no location"}, send: []string{get("/")}},
		{place: one("accel-ignored", accel("/accel-ignored/inner/")).inBoth("proxy_ignore_headers X-Accel-Redirect;", "ignore_headers: X-Accel-Redirect").
			within("inner/"), send: []string{get("/")}},
		{place: one("internal-from-outside", file).within("inner/"), send: []string{get("/inner/x")}},
		{
			place: one("internal-error-page", file).
				within("inner/", [2]string{"error_page 404 =200 /internal-error-page/;", `error_page: {404: "=200 /internal-error-page/"}`}),
			send: []string{get("/inner/x")},
		},
		{place: fast("accel-fastcgi", says(cgi("Content-Type: a/b\r\nX-Accel-Redirect: /accel-fastcgi/inner/x.php?y=1\r\n\r\n")), says(cgi("Status: 201 Created\r\nContent-Length: 4\r\n\r\nfile"))).
			within("inner/"), send: []string{get("/?z")}, differs: []string{"surplus is not counted"}},
	}
	compare(t, withTimes, trials)
}

// fast is a place for an application that speaks FastCGI.
func fast(name string, answers ...reaction) *place { return app(name, answering(answers...)) }

// TestNginx_ErrorPages: error_page and intercept_errors.
func TestNginx_ErrorPages(t *testing.T) {
	sorry := says(ok("sorry", "Content-Type: text/sorry"))
	missing := says(response("404 Not Found", "missing", "Set-Cookie: a=1"))
	page := func(nginx, yaml string) [2]string {
		return [2]string{"error_page " + nginx + ";", "error_page: {" + yaml + "}"}
	}
	on := [2]string{"proxy_intercept_errors on;", "intercept_errors: on"}
	with := func(p *place, twice ...[2]string) *place {
		p.twice = append(p.twice, twice...)
		return p.within("inner/")
	}
	trials := []*trial{
		{place: with(one("page", missing, sorry), on, page("404 {}/inner/x?y", `404: "{}/inner/x?y"`)), send: []string{get("/?z")}},
		{place: with(one("page-passed-on", missing, sorry), page("404 {}/inner/x", `404: "{}/inner/x"`)), send: []string{get("/")}},
		{place: with(one("page-other-status", missing, sorry), on, page("403 500 {}/inner/x", `403 500: "{}/inner/x"`)), send: []string{get("/")}},
		{place: with(one("page-code", missing, sorry), on, page("403 404 =200 {}/inner/x", `403 404: "=200 {}/inner/x"`)), send: []string{get("/")}},
		{place: with(one("page-own-code", missing, says(response("201 Created", "x"))), on, page("404 = {}/inner/x", `404: "= {}/inner/x"`)), send: []string{get("/")}},
		{place: with(one("page-url", missing), on, page("404 http://else.test/x?$arg_a", `404: "http://else.test/x?$arg_a"`)), differs: []string{"reason"}, send: []string{get("/?a=b")}},
		{place: with(one("page-url-code", missing), on, page("404 =301 http://else.test/x", `404: "=301 http://else.test/x"`)), send: []string{get("/")}},
		{place: with(one("page-url-odd-code", missing), on, page("404 =200 http://else.test/x", `404: "=200 http://else.test/x"`)), differs: []string{"reason"}, send: []string{get("/")}},
		{place: with(one("page-variable", missing, sorry), on, page("404 {}/inner/$request_method?u=$request_uri", `404: "{}/inner/$request_method?u=$request_uri"`)), send: []string{get("/a%20b")}},
		{place: with(one("page-named", missing, sorry), on, page("404 = @page-named", `404: "= @page-named"`)).within("@page-named"), send: []string{request("POST /x?y", "body")}},
		{place: with(one("page-post", missing, sorry), on, page("404 {}/inner/", `404: "{}/inner/"`)), differs: []string{"GET has no body"}, send: []string{request("POST /x?y", "body")}},
		{place: with(one("page-head", says(head("404 Not Found", "Content-Length: 7")), says(head("200 OK", "Content-Length: 5"))),
			on, page("404 {}/inner/", `404: "{}/inner/"`)), send: []string{request("HEAD /", "")}},
		{place: with(one("page-401", says(response("401 Unauthorized", "x", "WWW-Authenticate: Basic")), sorry), on, page("401 {}/inner/", `401: "{}/inner/"`)), send: []string{get("/")}},
		{place: with(one("page-302", says(response("302 Found", "x", "Location: /x")), sorry), on, page("302 {}/inner/", `302: "{}/inner/"`)), differs: []string{"reason"}, send: []string{get("/")}},
		{place: with(one("page-fails", missing, then("", closes)), on, page("404 502 {}/inner/", `404 502: "{}/inner/"`)), send: []string{get("/")}},
		{place: with(one("page-missing", missing, missing), on, page("404 {}/inner/", `404: "{}/inner/"`)).within("deeper/"), send: []string{get("/")}},
		{place: with(one("page-nowhere", missing), on, page("404 /nowhere", `404: "/nowhere"`)), differs: []string{"no location"}, send: []string{get("/page-nowhere")}},
		{place: with(one("page-redirected", accel("/page-redirected/inner/../"), sorry), page("404 {}/inner/", `404: "{}/inner/"`)), send: []string{get("/")}},
		{
			place: with(one("page-in-redirected", accel("/page-in-redirected/deeper/"), missing, sorry)).
				within("deeper/", on, page("404 /page-in-redirected/inner/", `404: "/page-in-redirected/inner/"`)),
			send: []string{get("/")},
		},
		{place: with(one("page-added", missing, sorry), on, page("404 {}/inner/", `404: "{}/inner/"`), [2]string{"add_header X-A 1 always;", "add_header: {X-A: {value: 1, always: on}}"}), send: []string{get("/")}},
		{place: with(one("page-too-large", sorry), [2]string{"client_max_body_size 1;", "client_max_body_size: 1"}, page("413 {}/inner/", `413: "{}/inner/"`)), differs: []string{"GET has no body"}, send: []string{request("POST /", "too large")}},
		{place: with(one("page-closed", then("", closes), sorry), page("502 {}/inner/", `502: "{}/inner/"`)), send: []string{get("/")}},
		{place: with(one("page-timeout", then("", hangs), sorry).with("read_timeout 100ms"), page("504 =503 {}/inner/", `504: "=503 {}/inner/"`)), differs: []string{"reason"}, send: []string{get("/")}},
		{place: with(one("page-named-closed", then("", closes), sorry), page("502 @page-named-closed", `502: "@page-named-closed"`)).within("@page-named-closed"), send: []string{request("POST /x?y", "body")}},
		{place: with(several("page-refused", refusing()), page("502 {}/inner/", `502: "{}/inner/"`)), send: []string{get("/")}},
	}
	compare(t, withTimes, trials)
}
