//go:build linux && !race

package main_test

import (
	"regexp"
	"slices"
	"testing"
)

// A difference is one that is meant. It is either told to nginx, or rewritten in what was seen.
type difference struct {
	name string
	why  string

	// tell has directives by protocol that make nginx do what spillway does unasked.
	tell map[string]string

	// always: it applies to all trials; otherwise to those that name it, and there it must show.
	always   bool
	maybe    bool // timing decides whether it shows
	rewrites []rewrite
}

// rewrite makes one of two observations equal to the other.
type rewrite struct {
	of      string // nginx or spillway
	what    string // part of the observation
	pattern *regexp.Regexp
	with    string
}

// both applies a pattern to both observations: what it matches may differ.
func both(what, pattern, with string) []rewrite {
	re := regexp.MustCompile(pattern)
	return []rewrite{{"nginx", what, re, with}, {"spillway", what, re, with}}
}

func nginxs(what, pattern, with string) []rewrite {
	return []rewrite{{"nginx", what, regexp.MustCompile(pattern), with}}
}

func ours(what, pattern, with string) []rewrite {
	return []rewrite{{"spillway", what, regexp.MustCompile(pattern), with}}
}

// instead says what each has, as a whole.
func instead(what, nginx, spillway string) []rewrite {
	const same = "(as the table has it)"
	return []rewrite{
		{"nginx", what, regexp.MustCompile("(?s)^(?:" + nginx + ")$"), same},
		{"spillway", what, regexp.MustCompile("(?s)^(?:" + spillway + ")$"), same},
	}
}

// refused is the page that spillway has where nginx passes on what it got; errors is the line for it.
func refused(errors string) []rewrite {
	return slices.Concat(
		instead(seenResponse, ".*", "HTTP/1.1 502 Bad Gateway\n.*"), instead(seenFraming, ".*", "length"),
		instead(seenBody, ".*", `.*<h1>502 Bad Gateway</h1>.*`), instead(seenConnection, ".*", "kept, .*|closed"),
		instead(seenErrors, ".*", errors), instead(seenAccess, ".*", `[^\n]*" 502 <page> .* addr=\[<a>\] status=\[502\] .*`),
	)
}

// differences are all that are meant, and the open ones, whose reason begins with OPEN: the cause is known and not mended yet.
var differences = []difference{
	{
		name: "the peer gets the client's Host",
		why:  "nginx's default, the name of the upstream, is what nobody wants, and what every nginx.conf replaces",
		tell: map[string]string{"http": "proxy_set_header Host $http_host;"},
	},
	{
		name: "the peer is told about the client",
		why:  "X-Real-IP and X-Forwarded-* always say what this hop saw; what a client sent is replaced (reliability C2)",
		tell: map[string]string{
			"http": "proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr; " +
				"proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;",
			"fastcgi": "fastcgi_param HTTP_X_REAL_IP $remote_addr; fastcgi_param HTTP_X_FORWARDED_FOR $remote_addr; " +
				"fastcgi_param HTTP_X_FORWARDED_PROTO $scheme; fastcgi_param HTTP_X_FORWARDED_HOST $http_host;",
			"scgi": "scgi_param HTTP_X_REAL_IP $remote_addr; scgi_param HTTP_X_FORWARDED_FOR $remote_addr; " +
				"scgi_param HTTP_X_FORWARDED_PROTO $scheme; scgi_param HTTP_X_FORWARDED_HOST $http_host;",
			"uwsgi": "uwsgi_param HTTP_X_REAL_IP $remote_addr; uwsgi_param HTTP_X_FORWARDED_FOR $remote_addr; " +
				"uwsgi_param HTTP_X_FORWARDED_PROTO $scheme; uwsgi_param HTTP_X_FORWARDED_HOST $http_host;",
		},
	},
	{
		name: "CGI variables without an include",
		why:  "spillway always sends what nginx's fastcgi_params has, whatever the protocol",
		tell: map[string]string{
			"fastcgi": "include /etc/nginx/fastcgi_params;",
			"scgi": "include /etc/nginx/scgi_params; scgi_param PATH_INFO $document_uri; scgi_param SCRIPT_NAME ''; " +
				"scgi_param GATEWAY_INTERFACE CGI/1.1; scgi_param SERVER_SOFTWARE nginx; scgi_param SERVER_ADDR $server_addr; " +
				"scgi_param REDIRECT_STATUS 200;",
			"uwsgi": "include /etc/nginx/uwsgi_params; uwsgi_param DOCUMENT_URI $document_uri; uwsgi_param SCRIPT_NAME ''; " +
				"uwsgi_param GATEWAY_INTERFACE CGI/1.1; uwsgi_param SERVER_SOFTWARE nginx; uwsgi_param SERVER_ADDR $server_addr; " +
				"uwsgi_param REDIRECT_STATUS 200;",
		},
	},
	{
		name: "signature", why: "each has its own name; the page is three bytes longer", always: true,
		rewrites: slices.Concat(
			ours(seenResponse, `(?m)^Server: spillway$`, "Server: nginx"),
			ours(seenBody, `<center>spillway</center>`, "<center>nginx</center>"),
			both(seenAccess, `" (30\d|4\d\d|5\d\d) (138|141|162|165|146|149|150|153|160|163|176|179|170|173) "`, `" $1 <page> "`),
		),
	},
	{
		name: "date", why: "the requests are sent one after the other", always: true,
		rewrites: both(seenResponse, `(?m)^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$`, "Date: <date>"),
	},
	{
		name: "epoll", why: "spillway has the words that nginx has on all systems without epoll, such as Windows", always: true,
		rewrites: nginxs(seenErrors, `epoll_wait\(\) reported that client`, "client"),
	},
	{
		name: "reason", why: "a reason phrase says nothing (RFC 9112, section 4) and HTTP/2 has none: the status's own is sent",
		rewrites: both(seenResponse, `(?m)^(HTTP/1.1 \d{3}).*`, "$1"),
	},
	{
		name: "short body has a length", maybe: true,
		why: "design, step 9: a response that came whole with its head is sent with its head, so its length is known",
		rewrites: slices.Concat(
			both(seenFraming, `(?m)^(length|to the end of the connection)$`, "chunked"),
			both(seenAccess, `" (\d{3}) \d+ "`, `" $1 <bytes> "`), both(seenAccess, ` length=\[[^]]*\]`, " length=[<bytes>]"),
		),
	},
	{
		name: "short body has a length for HTTP/1.0", why: "as above; so even that client's connection can be kept",
		rewrites: slices.Concat(
			instead(seenFraming, "to the end of the connection", "length"), instead(seenConnection, "closed", "kept, then HTTP/1.1 200 OK"),
			both(seenAccess, ` length=\[[^]]*\]`, " length=[<bytes>]"),
		),
	},
	{
		name: "chunk framing is not counted",
		why:  "$request_length, $body_bytes_sent and $upstream_response_length count bodies, not the chunks around them",
		rewrites: slices.Concat(both(seenAccess, `request_length=\d+`, "request_length=<bytes>"),
			both(seenAccess, `" (\d{3}) \d+ "`, `" $1 <bytes> "`), both(seenAccess, ` length=\[[^]]*\]`, " length=[<bytes>]")),
	},
	{
		name: "surplus is not counted", why: "$upstream_response_length is that of the body, without what a peer sent too much",
		rewrites: both(seenAccess, ` length=\[[^]]*\]`, " length=[<bytes>]"),
	},
	{
		name: "empty POST has a length", why: "RFC 9110, section 8.6: a request whose method expects a body says that there is none",
		rewrites: ours(seenPeers, `\nContent-Length: 0\n`, "\n"),
	},
	{
		name: "fields as fasthttp has them", why: "Cookie lines are joined (RFC 6265, section 5.4), names get the usual letter case",
		rewrites: slices.Concat(nginxs(seenPeers, `(?m)^Cookie: a=b\nCookie: c=d$`, "Cookie: a=b; c=d"), nginxs(seenPeers, `X-Odd-name`, "X-Odd-Name")),
	},
	{
		name: "dropped field is not logged", why: "nginx has a line at level info; any client could fill the log with it",
		rewrites: nginxs(seenErrors, `(?m)^\[info\] client sent invalid header line: .*`, ""),
	},
	{
		name: "hop-by-hop fields of requests", why: "RFC 9110, section 7.6.1: they end here, as do those that Connection names (reliability C1)",
		rewrites: nginxs(seenPeers, `(?m)^(Proxy-Authorization: x|Proxy-Connection: keep-alive|X-Named: a)\n`, ""),
	},
	{
		name: "trailers are asked for", why: "a client that takes trailers gets them, so the peer is asked; nginx has proxy_pass_trailers since 1.27",
		rewrites: slices.Concat(ours(seenPeers, `Connection: close, TE`, "Connection: close"), ours(seenPeers, `\nTE: trailers`, "")),
	},
	{
		name: "hop-by-hop fields of responses", why: "the same in the other direction (reliability C8)",
		rewrites: nginxs(seenResponse, `\n(Proxy-Authenticate: x|Trailer: x|Upgrade: foo|X-Named: a|Upgrade: x|X-Foo: a)`, ""),
	},
	{
		name: "peer always gets a Host", why: "HTTP/1.1 has one (RFC 9112, section 3.2): the server's name when the client has none",
		rewrites: ours(seenPeers, `(?m)^Host: site.test\n`, ""),
	},
	{
		name: "garbage is refused", why: "reliability C10: nginx passes it on as HTTP/0.9; spillway answers 502",
		rewrites: refused(".* upstream sent no valid HTTP/1.0 header while reading response header from upstream, .*"),
	},
	{
		name: "line without colon is refused", why: "RFC 9112, section 5",
		rewrites: refused(`.* upstream sent invalid header: "abc\\x0a\.\.\." while reading .*`),
	},
	{
		name: "markup is refused", why: "reliability C10: nginx takes a line of it for a field without a colon, and passes that on",
		rewrites: refused(`.* upstream sent invalid header: "\\x3c\.\.\." while reading .*`),
	},
	{
		name: "doubtful length is refused", why: "reliability C9: RFC 9112, section 6.3",
		rewrites: refused(`.* upstream sent (duplicate header line|invalid "Content-Length" header|unknown "Transfer-Encoding"): .*`),
	},
	{
		name: "unasked upgrade is refused", why: "reliability A18: RFC 9110, section 7.8",
		rewrites: refused(`.* upstream sent invalid status "101" while reading .*`),
	},
	{
		name: "interim response is skipped", why: "nginx 1.22 takes it for the response and waits for its end",
		rewrites: slices.Concat(
			instead(seenResponse, ".*", "HTTP/1.1 200 OK.*"), instead(seenFraming, ".*", "length"), instead(seenBody, ".*", `"hello"`),
			instead(seenConnection, ".*", "kept.*"), instead(seenErrors, ".*", ""), instead(seenAccess, ".*", `.*" 200 5 .*`),
		),
	},
	{
		name: "cut before it was begun", why: "what is wrong is known before the head has left, so the client gets a 502",
		rewrites: slices.Concat(refused(".* upstream sent invalid chunked response while reading upstream, .*")),
	},
	{
		name: "what came is sent", why: "a client gets the part of a body that came before the peer hung; nginx holds it back",
		rewrites: slices.Concat(nginxs(seenBody, `^""$`, `"hello"`), nginxs(seenAccess, `" 200 0 "`, `" 200 5 "`)),
	},
	{
		name: "body after HEAD", why: "reliability, section 9: a connection with unread bytes is never used again; nginx serves them to the next client",
		rewrites: slices.Concat(ours(seenPeers, `conn 2`, "conn 1"), ours(seenErrors, `(?m)^\[warn\] upstream sent more data than .*`, "")),
	},
	{
		name: "reset in a body", why: "what came before it may be lost or not; the name of the system call is that of all other lines",
		rewrites: slices.Concat(instead(seenBody, ".*", ".*"), nginxs(seenErrors, `readv\(\)`, "recv()"), both(seenAccess, `" 200 \d+ "`, `" 200 <bytes> "`),
			both(seenAccess, ` (length|received)=\[\d+\]`, " $1=[<bytes>]")),
	},
	{
		name: "one count of a chunked body", why: "nginx shows two summands, spillway what it has read",
		rewrites: slices.Concat(nginxs(seenErrors, `0\+2000 bytes`, "2000 bytes"), both(seenAccess, `request_length=\d+`, "request_length=<bytes>")),
	},
	{
		name: "cause before effect", why: "spillway logs the timeout, then that the peer is disabled by it; nginx the other way round",
		rewrites: nginxs(seenErrors, `(?s)^(\[warn\] [^\n]*)\n(\[error\] [^\n]*)$`, "$2\n$1"),
	},
	{
		name: "peers that have all failed are asked", why: "ADR 9: failures alone never empty an upstream",
		rewrites: slices.Concat(
			ours(seenPeers, `(?s)(.*)\n[abc] conn 2: GET /retry-all-fail/2 .*`, "$1"),
			instead(seenErrors, ".*no live upstreams while connecting [^\n]*", `.* connect\(\) failed [^\n]*/2 HTTP[^\n]*\n[^\n]* temporarily disabled [^\n]*`),
			instead(seenAccess, `.* addr=\[retry-all-fail\] .*`, `.* addr=\[<[abc]>, <[abc]>, <[abc]>\] [^\n]*`),
		),
	},
	{
		name: "phase of a client's leaving", why: "nginx still says sending request while it waits for the head",
		rewrites: slices.Concat(nginxs(seenErrors, "while sending request to upstream", "while reading response header from upstream"),
			ours(seenAccess, "sent_type=text/html", "sent_type=-")),
	},
	{
		name: "software", why: "each has its own name", always: true, rewrites: both(seenPeers, `SERVER_SOFTWARE: \S+`, "SERVER_SOFTWARE: <name>"),
	},
	{
		name: "no REMOTE_USER", why: "it is who was authenticated (RFC 3875, section 4.1.11), and spillway does not authenticate; Debian adds it",
		always: true, rewrites: nginxs(seenPeers, `(?m)^REMOTE_USER: .*\n`, ""),
	},
	{
		name: "no empty PATH_INFO", why: "reliability D3", always: true, rewrites: nginxs(seenPeers, `(?m)^PATH_INFO: \n`, ""),
	},
	{
		name: "content fields once", why: "RFC 3875, section 4.1.18: what has a variable of its own is not repeated in HTTP_", always: true,
		rewrites: nginxs(seenPeers, `(?m)^HTTP_CONTENT_(LENGTH|TYPE): .*\n`, ""),
	},
	{
		name: "no HTTP_TRANSFER_ENCODING", why: "reliability, section 9: the body has come whole, applications take it for empty", always: true,
		rewrites: nginxs(seenPeers, `(?m)^HTTP_TRANSFER_ENCODING: chunked\n`, ""),
	},
	{
		name: "application without root", why: "without a root there are no scripts: WSGI and the like want the path in PATH_INFO", always: true,
		rewrites: slices.Concat(nginxs(seenPeers, `DOCUMENT_ROOT: <dir>/html\n`, ""),
			both(seenPeers, `(?s)PATH_INFO: ([^\n]*)\n([^\x00]*?)SCRIPT_NAME: \n`, "${2}SCRIPT_NAME: $1\n")),
	},
	{
		name: "HTTP_HOST with the port", why: "the client's own; Debian's include replaces it by $host",
		rewrites: ours(seenPeers, `HTTP_HOST: site.test:8080`, "HTTP_HOST: site.test"),
	},
	{
		name: "CGI variables once", why: "RFC 3875, section 4.1.18: fields of one name are joined; httpoxy: no HTTP_PROXY (reliability D1)",
		rewrites: slices.Concat(nginxs(seenPeers, `HTTP_ACCEPT: a\nHTTP_ACCEPT: b`, "HTTP_ACCEPT: a, b"),
			nginxs(seenPeers, `HTTP_COOKIE: a=b\nHTTP_COOKIE: c=d`, "HTTP_COOKIE: a=b; c=d"), nginxs(seenPeers, `HTTP_PROXY: .*\n`, "")),
	},
	{
		name: "hop-by-hop CGI variables", why: "they end here, as in HTTP (reliability C1)",
		rewrites: nginxs(seenPeers, `(?m)^HTTP_(CONNECTION|KEEP_ALIVE|PROXY_AUTHORIZATION|TE|UPGRADE|X_NAMED): .*\n`, ""),
	},
	{
		name: "Status is no field", why: "RFC 3875, section 6.3.3: it is for the server; nginx knows that of FastCGI and SCGI, and passes it on from uwsgi",
		rewrites: nginxs(seenResponse, `\nStatus: .*`, ""),
	},
	{
		name: "FastCGI cut is told", why: "reliability, section 7: nginx completes a response that has no end",
		rewrites: slices.Concat(
			instead(seenFraming, "chunked", "chunked\ncut"), instead(seenConnection, "kept.*", ""),
			instead(seenErrors, "", `\[error\] upstream prematurely closed FastCGI stdout while reading upstream, .*`),
		),
	},
	{
		name: "words of a FastCGI cut", why: "nginx has these words too, for records that end without END_REQUEST",
		rewrites: nginxs(seenErrors, "upstream prematurely closed connection", "upstream prematurely closed FastCGI stdout"),
	},
	{
		name: "phase of stderr", why: "it came in one read with the head", rewrites: nginxs(seenErrors, `while reading upstream`, "while reading response header from upstream"),
	},
	{
		name: "stderr is escaped", why: "reliability D14", rewrites: nginxs(seenErrors, `\\x0atwo\x1b`, `\x0Atwo\x1B`),
	},
	{
		name: "record headers need no buffer", why: "buffer_size is what the head itself may have",
		rewrites: both(seenAccess, `received=\[\d+\]`, "received=[<bytes>]"),
	},
	{
		name: "GET has no body", why: "the body was for the location that the request was sent to; a GET with one is what many refuse",
		rewrites: slices.Concat(nginxs(seenPeers, `(?s)( GET .*)\nContent-Length: 4\n(.*)body: "body"`, "$1\n${2}body: \"\""),
			nginxs(seenPeers, `\nContent-Length: 0\n`, "\n")),
	},
	{
		name: "kept after 500", why: "nothing is wrong with the client's connection",
		rewrites: instead(seenConnection, "closed", "kept, then HTTP/1.1 200 OK"),
	},
	{
		name: "other X-Accel fields", why: "all fields of this kind are between the application and its front end",
		rewrites: nginxs(seenResponse, `\nX-Accel-Foo: 2`, ""),
	},
	{
		name: "rewritten URL stays relative", why: "RFC 9110, section 10.2.2: nothing is gained by guessing the scheme and port that the client used",
		rewrites: nginxs(seenResponse, `Location: http://site.test:\d+/`, "Location: /"),
	},
	{
		name: "charset is not converted", why: "without a charset_map nginx converts nothing either, and says so",
		rewrites: nginxs(seenErrors, `(?m)^\[error\] (no "charset_map" between|unknown charset) .*`, ""),
	},
	{
		name: "no location", why: "OPEN: no server is known to the exchange when no location of it matches",
		rewrites: slices.Concat(nginxs(seenErrors, `(?m)^.*( is not found |open\(\) ).*`, ""), ours(seenAccess, "server=-", "server=site.test")),
	},
	{
		name: "target as sent", why: "OPEN: $request has the target in origin-form where the client sent the absolute one",
		rewrites: nginxs(seenAccess, `"GET http://site.test/`, `"GET /`),
	},
	{
		name: "refused head", why: "OPEN: the line has no words of nginx's for a missing Host, and the exchange neither server, path nor number",
		rewrites: slices.Concat(
			nginxs(seenErrors, `sent HTTP/1.1 request without "Host" header`, "sent invalid request: no host"),
			nginxs(seenErrors, `server: site.test`, "server: "),
			nginxs(seenAccess, "uri=\\S+ args=- host=site.test server=site.test", "uri=- args=- host=- server=-"),
			nginxs(seenAccess, "on_connection=1", "on_connection=0"),
		),
	},
	{
		name: "refused for want of TLS", why: "OPEN: no server is known to an exchange that is refused",
		rewrites: slices.Concat(nginxs(seenErrors, `server: site.test`, "server: "), nginxs(seenAccess, "server=site.test", "server=-"),
			both(seenAccess, `" 400 (248|251) "`, `" 400 <page> "`)),
	},
	{
		name: "reset behind a farewell", why: "a client over TLS says farewell before it leaves, and nginx has the number of the error then",
		maybe: true, rewrites: nginxs(seenErrors, ` \(104: Connection reset by peer\)`, ""),
	},
	{
		name: "304 with a length", why: "OPEN: fasthttp drops the Content-Length of a 304, which RFC 9110, section 8.6, allows",
		rewrites: nginxs(seenFraming, "no body, length 77", "no body"),
	},
	{
		name: "bad chunk of a request", why: "OPEN: nginx has the words client sent invalid chunked body, at level error",
		rewrites: instead(seenErrors, `\[error\] client sent invalid chunked body, .*`, `\[info\] client sent invalid request: invalid chunk size while .*`),
	},
}

// settle applies the differences that are meant for a trial to what was seen of nginx and of spillway.
func settle(t *testing.T, tr *trial, nginx, spillway observation) {
	t.Helper()
	open := map[string]bool{}
	for _, name := range tr.differs {
		open[name] = true
	}
	for _, d := range differences {
		if !d.always && !open[d.name] {
			continue
		}
		changed := false
		for _, r := range d.rewrites {
			o := spillway
			if r.of == "nginx" {
				o = nginx
			}
			text := r.pattern.ReplaceAllString(o[r.what], r.with)
			changed = changed || text != o[r.what]
			o[r.what] = text
		}
		if !d.always && !d.maybe && !changed {
			t.Errorf("the difference %q does not show any more", d.name)
		}
		delete(open, d.name)
	}
	for name := range open {
		t.Errorf("no difference has the name %q", name)
	}
}
