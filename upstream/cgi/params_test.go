package cgi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// request is a GET of the given path without a query, with the given header lines.
func request(tb testing.TB, path string, lines ...string) *upstream.Request {
	tb.Helper()
	h := &fasthttp.RequestHeader{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return &upstream.Request{
		Method: []byte("GET"), Target: []byte(path), Path: []byte(path), Header: h, Proto: []byte("HTTP/1.1"),
		Scheme: "http", RemoteAddr: "192.0.2.1", RemotePort: "4711", ServerAddr: "127.0.0.1", ServerPort: "8080",
		ServerName: "example.com",
	}
}

func fields(pairs ...string) (list []upstream.Field) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, upstream.Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return list
}

// fill returns the variables as lines and as a map; a name that comes twice fails the test.
func fill(tb testing.TB, p cgi.Params, req *upstream.Request) (string, map[string]string) {
	tb.Helper()
	var vars cgi.Vars
	if err := p.Fill(&vars, req); err != nil {
		tb.Fatalf("Fill: %v", err)
	}
	lines, named, size := "", map[string]string{}, 0
	for i := range vars.Len() {
		name, value := vars.At(i)
		if _, twice := named[string(name)]; twice {
			tb.Errorf("%s comes twice", name)
		}
		named[string(name)] = string(value)
		lines += string(name) + "=" + string(value) + "\n"
		size += len(name) + len(value)
	}
	if size != vars.Size() {
		tb.Errorf("got size %d, want %d", vars.Size(), size)
	}
	return lines, named
}

func TestParams_WritesFastcgiParams(t *testing.T) {
	req := request(t, "/a b.php", "Host: example.com", "Accept: */*", "Content-Type: text/plain", "Content-Length: 5")
	req.Target, req.Query, req.Method = []byte("/a%20b.php?x=1"), []byte("x=1"), []byte("POST")
	req.Scheme, req.BodyLength = "https", 5
	got, _ := fill(t, cgi.Params{Root: `C:\site\`, Software: "spillway/1"}, req)
	want := `CONTENT_LENGTH=5
CONTENT_TYPE=text/plain
SCRIPT_NAME=/a b.php
DOCUMENT_ROOT=C:\site
SCRIPT_FILENAME=C:\site/a b.php
GATEWAY_INTERFACE=CGI/1.1
SERVER_SOFTWARE=spillway/1
REDIRECT_STATUS=200
REQUEST_METHOD=POST
REQUEST_URI=/a%20b.php?x=1
DOCUMENT_URI=/a b.php
QUERY_STRING=x=1
SERVER_PROTOCOL=HTTP/1.1
REQUEST_SCHEME=https
HTTPS=on
REMOTE_ADDR=192.0.2.1
REMOTE_PORT=4711
SERVER_ADDR=127.0.0.1
SERVER_PORT=8080
SERVER_NAME=example.com
HTTP_HOST=example.com
HTTP_ACCEPT=*/*
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParams_Paths(t *testing.T) {
	split, err := cgi.ParseSplit(`^(.+?\.php)(/.*)?$`)
	if err != nil {
		t.Fatal(err)
	}
	app, err := cgi.ParseSplit(`^(/app)(/.*)$`)
	if err != nil {
		t.Fatal(err)
	}
	const absent = "(absent)"
	f := func(name string, p cgi.Params, path, script, info, filename string) {
		t.Helper()
		_, vars := fill(t, p, request(t, path))
		for key, want := range map[string]string{
			"SCRIPT_NAME": script, "PATH_INFO": info, "SCRIPT_FILENAME": filename, "PATH_TRANSLATED": absent,
		} {
			got, ok := vars[key]
			if !ok {
				got = absent
			}
			if got != want {
				t.Errorf("%s: %s of %s: got %q, want %q", name, key, path, got, want)
			}
		}
	}
	php := cgi.Params{Root: "/srv", Index: "index.php", Split: split}
	f("application", cgi.Params{Index: "index.php"}, "/a/", "", "/a/", absent)
	f("script", cgi.Params{Root: "/srv"}, "/a.php/b", "/a.php/b", absent, "/srv/a.php/b")
	f("script", cgi.Params{Root: "/srv"}, "/a/", "/a/", absent, "/srv/a/")
	f("index", php, "/a/", "/a/index.php", absent, "/srv/a/index.php")
	f("split", php, "/a.php/b/c", "/a.php", "/b/c", "/srv/a.php")
	f("split without info", php, "/a.php", "/a.php", absent, "/srv/a.php")
	f("split without a match", php, "/a.jpg/b", "/a.jpg/b", absent, "/srv/a.jpg/b")
	f("split bytes outside ascii", php, "/ü.php/ß", "/ü.php", "/ß", "/srv/ü.php")
	f("prefix", cgi.Params{Split: app}, "/app/x", "/app", "/x", absent)
	f("root /", cgi.Params{Root: "/"}, "/a.php", "/a.php", absent, "/a.php")
}

func TestSplit_FoldsOnlyASCII(t *testing.T) {
	split, err := cgi.ParseSplit(`(?i)^(.+\.phk)(/.*)$`)
	if err != nil {
		t.Fatal(err)
	}
	_, vars := fill(t, cgi.Params{Root: "/srv", Split: split}, request(t, "/a.PHK/x"))
	if got := vars["SCRIPT_NAME"]; got != "/a.PHK" {
		t.Errorf("got %q, want /a.PHK", got)
	}
	kelvin := "/up.ph\u212a/x"
	_, vars = fill(t, cgi.Params{Root: "/srv", Split: split}, request(t, kelvin))
	if got := vars["SCRIPT_NAME"]; got != kelvin {
		t.Errorf("got %q, want the whole path: the Kelvin sign is no k", got)
	}
}

func TestParseSplit_WantsTwoGroups(t *testing.T) {
	for _, expr := range []string{`^(.+\.php)$`, `^(.+)(/.*)(x)$`, `(`} {
		if _, err := cgi.ParseSplit(expr); err == nil || !strings.Contains(err.Error(), "split_path_info") {
			t.Errorf("%s: got %v, want an error of split_path_info", expr, err)
		}
	}
}

func TestParams_RefusesUnsafeScripts(t *testing.T) {
	unsafe := []string{
		"/a.php.", "/a.php ", "/a.php::$DATA", "/a.php:x", "/a./b.php", "/..", `/a\b.php`, "/a\x00.php", "/a.php\x7f", "/a.php...", "/a. ",
	}
	for _, path := range unsafe {
		var vars cgi.Vars
		err := (&cgi.Params{Root: "/srv"}).Fill(&vars, request(t, path))
		own := (*upstream.Error)(nil)
		if !errors.Is(err, cgi.ErrUnsafeScript) || !errors.As(err, &own) || own.Kind != upstream.Canceled {
			t.Errorf("%q: got %v, want ErrUnsafeScript", path, err)
		}
		if _, named := fill(t, cgi.Params{}, request(t, path)); named["PATH_INFO"] != path {
			t.Errorf("%q without a root: got %q", path, named["PATH_INFO"])
		}
	}
	for _, path := range []string{"/a.php", "/.well-known/x", "//a.php", "/a b/c.d.php", "/ü.php", "/"} {
		if _, named := fill(t, cgi.Params{Root: "/srv"}, request(t, path)); named["SCRIPT_NAME"] != path {
			t.Errorf("got %q, want %q", named["SCRIPT_NAME"], path)
		}
	}
}

func TestParams_RefusesUnknownLength(t *testing.T) {
	req := request(t, "/")
	req.BodyLength = -1
	var vars cgi.Vars
	if err := (&cgi.Params{}).Fill(&vars, req); !errors.Is(err, cgi.ErrBodyLength) {
		t.Errorf("got %v, want ErrBodyLength", err)
	}
}

func TestParams_Fields(t *testing.T) {
	req := request(t, "/", "Host: a", "Proxy: http://evil", "X_User: root", "X.User: root", "X-User: one", "X-User: two",
		"Php-Value: x", "Content-Length: 7", "Transfer-Encoding: chunked", "Connection: close", "X-Gone: x", "X-New: old",
		"Cookie: a=1; b=2", "Accept: x", "X+Y: no")
	req.Set = fields("x-new", "new", "X-Gone", "", "X-Added", "1", "Proxy", "http://evil")
	req.BodyLength = 7
	_, vars := fill(t, cgi.Params{}, req)
	want := map[string]string{
		"HTTP_HOST": "a", "HTTP_X_USER": "one, two", "HTTP_PHP_VALUE": "x", "HTTP_X_NEW": "new", "HTTP_X_ADDED": "1",
		"HTTP_COOKIE": "a=1; b=2", "HTTP_ACCEPT": "x",
	}
	for name, value := range vars {
		if strings.HasPrefix(name, "HTTP_") && want[name] != value {
			t.Errorf("%s: got %q, want %q", name, value, want[name])
		}
	}
	for name, value := range want {
		if vars[name] != value {
			t.Errorf("%s: got %q, want %q", name, vars[name], value)
		}
	}
	if vars["CONTENT_LENGTH"] != "7" || vars["PHP_VALUE"] != "" {
		t.Errorf("got CONTENT_LENGTH %q, PHP_VALUE %q", vars["CONTENT_LENGTH"], vars["PHP_VALUE"])
	}
}

func TestParams_ConfiguredVariablesReplace(t *testing.T) {
	req := request(t, "/", "X-User: evil", "X-User: evil too", "Content-Length: 0")
	req.Params = fields("HTTP_X_USER", "good", "SERVER_NAME", "", "APP", "1", "CONTENT_LENGTH", "99", "", "nameless")
	_, vars := fill(t, cgi.Params{}, req)
	for name, want := range map[string]string{"HTTP_X_USER": "good", "SERVER_NAME": "", "APP": "1", "CONTENT_LENGTH": "0"} {
		if got, ok := vars[name]; !ok || got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// An imported nginx.conf says where scripts are with fastcgi_param alone.
func TestParams_ConfiguredScript(t *testing.T) {
	req := request(t, "/a/")
	req.Params = fields("SCRIPT_FILENAME", "/srv/a/index.php")
	_, vars := fill(t, cgi.Params{Index: "index.php"}, req)
	if _, ok := vars["PATH_INFO"]; ok || vars["SCRIPT_NAME"] != "/a/index.php" || vars["SCRIPT_FILENAME"] != "/srv/a/index.php" {
		t.Errorf("got %q", vars)
	}
	req.Path = []byte("/a.php.")
	var again cgi.Vars
	if err := (&cgi.Params{}).Fill(&again, req); !errors.Is(err, cgi.ErrUnsafeScript) {
		t.Errorf("got %v, want ErrUnsafeScript", err)
	}
}

// A body in memory has a length, whatever the client declared; a request may come without fields.
func TestParams_BodyInMemory(t *testing.T) {
	req := request(t, "/")
	req.Header, req.Bytes, req.BodyLength = nil, []byte("four"), -1
	if _, vars := fill(t, cgi.Params{}, req); vars["CONTENT_LENGTH"] != "4" {
		t.Errorf("got %q, want 4", vars["CONTENT_LENGTH"])
	}
}

func TestParams_WithoutServerName(t *testing.T) {
	req := request(t, "/")
	req.ServerName = ""
	_, vars := fill(t, cgi.Params{}, req)
	if vars["SERVER_NAME"] != "127.0.0.1" || vars["CONTENT_LENGTH"] != "" {
		t.Errorf("got SERVER_NAME %q, CONTENT_LENGTH %q", vars["SERVER_NAME"], vars["CONTENT_LENGTH"])
	}
	if _, ok := vars["HTTPS"]; ok {
		t.Error("HTTPS is set for http")
	}
}

func TestParams_AllocatesOnlyFasthttpsIterator(t *testing.T) {
	req := request(t, "/a/", "Host: a", "Cookie: a=1; b=2", "User-Agent: x", "X-User: 1", "X-User: 2", "Content-Type: a/b")
	req.Set = fields("X-Forwarded-For", "192.0.2.1")
	req.Params = fields("APP", "1")
	p := cgi.Params{Root: "/srv", Index: "index.php"}
	var vars cgi.Vars
	if got := testing.AllocsPerRun(100, func() { _ = p.Fill(&vars, req) }); got > 1 {
		t.Errorf("got %v allocations, want 1 at most", got)
	}
}
