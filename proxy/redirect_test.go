package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"spillway/proxy"
)

// redirecting is a handler that leaves the answer to another location.
func redirecting(to string) handler {
	return func(ex *proxy.Exchange) error {
		ex.Content = &content{} // given up
		return &proxy.RedirectError{To: to, About: []any{"exchange", ex}}
	}
}

// telling answers with what a location gets to know.
func telling(ex *proxy.Exchange) error {
	body := ""
	if ex.Body != nil {
		b, err := io.ReadAll(ex.Body)
		if err != nil {
			return err
		}
		body = string(b)
	}
	ex.Bytes = fmt.Appendf(nil, "%s %s ?%s %s %d %q", ex.Method, ex.Path, ex.Query, ex.PeerTarget(), ex.BodyLength, body)
	return nil
}

func failing(code int) handler {
	return func(*proxy.Exchange) error { return &proxy.StatusError{Code: code, Cause: proxy.CauseFailed} }
}

// page is an error page without variables.
func page(t *testing.T, to string, status int, codes ...int) proxy.ErrorPage {
	t.Helper()
	return proxy.ErrorPage{Codes: codes, To: mustTemplate(t, to), Status: status}
}

func TestFront_RedirectsToAnotherLocation(t *testing.T) {
	f := func(to, want string) {
		t.Helper()
		fix := newFixture(t, []*proxy.Route{
			{Path: "/", Handler: redirecting(to)},
			{Path: "/inner/", Internal: true, Handler: handler(telling)},
			{Path: "@named", Internal: true, Handler: handler(telling)},
		})
		ex := fix.serve("/x", 0)
		if got := string(ex.Bytes); got != want || ex.Status() != http.StatusOK {
			t.Errorf("%s: got status %d, %q, want %q", to, ex.Status(), got, want)
		}
		variables := string(mustTemplate(t, "$request|$request_uri|$uri").Append(nil, ex))
		if variables != "POST /x HTTP/1.1|/x|"+string(ex.Path) {
			t.Errorf("%s: got the variables %q", to, variables)
		}
		ex.Finish(nil)
	}
	f("/inner/a?b=c", `GET /inner/a ?b=c /inner/a?b=c 0 ""`)
	f("/inner/a%20%3f%25%zz?b=%20", `GET /inner/a ?%%zz ?b=%20 /inner/a%20%3F%25%25zz?b=%20 0 ""`)
	f("/inner/..a", `GET /inner/..a ? /inner/..a 0 ""`)
	f("@named", `POST /x ? /x 0 ""`)
}

func mustTemplate(t *testing.T, text string) *proxy.Template {
	t.Helper()
	template, err := proxy.CompileTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestFront_RefusesWhereItMustNotLead(t *testing.T) {
	f := func(to string, want int, words string) {
		t.Helper()
		fix := newFixture(t, []*proxy.Route{{Path: "/a", Handler: redirecting(to)}, {Path: "/inner/", Internal: true, Handler: handler(telling)}})
		ex := fix.serve("/a", 0)
		if got := ex.Status(); got != want || !strings.Contains(fix.log.String(), words) {
			t.Errorf("%s: got status %d, the log %q, want %d, %q", to, got, &fix.log, want, words)
		}
		ex.Finish(nil)
	}
	f("/inner/../x", 404, `unsafe URI "/inner/../x" was detected, client: `)
	f("/inner/%2e./x", 404, `unsafe URI "/inner/../x" was detected, client: `)
	f(`/inner\..\x`, 404, `unsafe URI `)
	f("/inner/%00", 404, `unsafe URI `)
	f("..", 404, `unsafe URI ".." was detected`)
	f("", 404, `unsafe URI "" was detected`)
	f("?x", 404, `unsafe URI "" was detected`)
	f("http://inner/", 404, "")
	f("/nowhere", 404, "")
	f("@nobody", 500, `could not find named location "@nobody"`)
	f("/a?again", 500, `rewrite or internal redirection cycle while internally redirecting to "/a"`)
}

func TestFront_InternalLocationIsForRedirectsOnly(t *testing.T) {
	fix := newFixture(t, []*proxy.Route{{Path: "/inner/", Internal: true, Handler: handler(telling)}, {Path: "@named", Internal: true}})
	for _, path := range []string{"/inner/x", "@named"} {
		ex := fix.serve(path, 0)
		if fix.front.Welcomes(ex) || ex.Status() != http.StatusNotFound {
			t.Errorf("%s: got status %d, want 404 and no welcome", path, ex.Status())
		}
		ex.Finish(nil)
	}
}

// held is a request body that counts how often it was closed.
type held struct {
	io.Reader

	closed int
}

func (h *held) Close() error {
	h.closed++
	return nil
}

func TestFront_RequestBodyIsForNamedLocations(t *testing.T) {
	f := func(to, want string) {
		t.Helper()
		body := &held{Reader: strings.NewReader("body")}
		keeping := handler(func(ex *proxy.Exchange) error {
			ex.KeepBody(body, 4)
			return &proxy.RedirectError{To: to}
		})
		fix := newFixture(t, []*proxy.Route{
			{Path: "/", Handler: keeping}, {Path: "/inner/", Handler: handler(telling)}, {Path: "@named", Handler: handler(telling)},
		})
		ex := fix.serve("/x", 4)
		if got := string(ex.Bytes); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
		ex.Finish(nil)
		if body.closed != 1 {
			t.Errorf("%s: the body was closed %d times", to, body.closed)
		}
	}
	f("/inner/", `GET /inner/ ? /inner/ 0 ""`)
	f("@named", `POST /x ? /x 4 "body"`)
	f("@nobody", string(proxy.Page(500)))
}

func TestFront_ErrorPages(t *testing.T) {
	f := func(code int, p proxy.ErrorPage, wantStatus int, want string) {
		t.Helper()
		fix := newFixture(t, []*proxy.Route{
			{Path: "/", Handler: failing(code), ErrorPages: []proxy.ErrorPage{p}},
			{Path: "/inner/", Handler: handler(telling)},
			{Path: "@named", Handler: handler(telling)},
			{Path: "/bad/", Handler: failing(403), ErrorPages: []proxy.ErrorPage{page(t, "/inner/", 0, 403)}},
		})
		ex := fix.serve("/x", 0)
		if got := string(ex.Bytes); got != want || ex.Status() != wantStatus {
			t.Errorf("%d: got status %d, %q, want %d, %q", code, ex.Status(), got, wantStatus, want)
		}
		if ex.Cause != proxy.CauseFailed {
			t.Errorf("%d: got the cause %q, want that of the error", code, ex.Cause)
		}
		ex.Finish(nil)
	}
	f(502, page(t, "/inner/?c", 0, 404, 502), 502, `GET /inner/ ?c /inner/?c 0 ""`)
	f(502, page(t, "/inner/", 200, 502), 200, `GET /inner/ ? /inner/ 0 ""`)
	f(502, page(t, "/inner/", proxy.OwnStatus, 502), 200, `GET /inner/ ? /inner/ 0 ""`)
	f(502, page(t, "@named", 0, 502), 502, `POST /x ? /x 0 ""`)
	f(502, page(t, "/inner/", 0, 404), 502, string(proxy.Page(502)))
	f(502, page(t, "/bad/", 200, 502), 403, string(proxy.Page(403)))
	f(502, page(t, "/inner/%2e.$uri", 0, 502), 404, string(proxy.Page(404)))
	f(502, page(t, "https://else.test/$uri", 0, 502), 302, string(proxy.Page(302)))
	f(502, page(t, "https://else.test/", 307, 502), 307, string(proxy.Page(307)))
}

// TestFront_NoNamedPageForHalfABody: a named location would get another request than the client's.
func TestFront_NoNamedPageForHalfABody(t *testing.T) {
	spent := handler(func(ex *proxy.Exchange) error {
		ex.KeepBody(nil, 0)
		return &proxy.StatusError{Code: 502}
	})
	fix := newFixture(t, []*proxy.Route{
		{Path: "/", Handler: spent, ErrorPages: []proxy.ErrorPage{page(t, "@named", 0, 502)}}, {Path: "@named", Handler: handler(telling)},
	})
	ex := fix.serve("/", 100)
	if got := string(ex.Bytes); got != string(proxy.Page(502)) {
		t.Errorf("got %q, want the built-in page", got)
	}
	ex.Finish(nil)
}

// TestFront_NoNamedPageForABodyThatWasNotSent: of a client that waits for "100 Continue" there is a length and no body.
func TestFront_NoNamedPageForABodyThatWasNotSent(t *testing.T) {
	fix := newFixture(t, []*proxy.Route{
		{Path: "/", MaxBody: 10, Handler: handler(telling), ErrorPages: []proxy.ErrorPage{page(t, "@named", 0, 413)}},
		{Path: "@named", Handler: handler(telling)},
	})
	ex := fix.serve("/", 100)
	if got := string(ex.Bytes); got != string(proxy.Page(413)) {
		t.Errorf("got %q, want the built-in page", got)
	}
	ex.Finish(nil)
}

func TestFront_KeepsFields(t *testing.T) {
	first := handler(func(ex *proxy.Exchange) error {
		for _, f := range [][2]string{
			{"set-cookie", "a=1"}, {"Cache-Control", "private"}, {"Content-Type", "a/b"}, {"Content-Disposition", "attachment"},
		} {
			ex.Keep([]byte(f[0]), []byte(f[1]))
		}
		ex.Response.Set("X-Dropped", "1")
		return &proxy.RedirectError{To: "/inner/"}
	})
	second := handler(func(ex *proxy.Exchange) error {
		ex.Response.SetNoDefaultContentType(true)
		ex.Response.Add("Set-Cookie", "a=2")
		ex.Response.DisableNormalizing()
		ex.Response.Add("content-disposition", "inline")
		return nil
	})
	fix := newFixture(t, []*proxy.Route{{Path: "/", Handler: first}, {Path: "/inner/", Handler: second}})
	ex := fix.serve("/", 0)
	var got []string
	for name, value := range ex.Response.All() {
		got = append(got, string(name)+": "+string(value))
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"Set-Cookie: a=1\nSet-Cookie: a=2", "Cache-Control: private", "Content-Type: a/b", "content-disposition: inline"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want %q in it", text, want)
		}
	}
	if strings.Contains(text, "attachment") || strings.Contains(text, "Dropped") {
		t.Errorf("got %q", text)
	}
	ex.Finish(nil)
}

func TestExchange_AttemptsOfSeveralLocations(t *testing.T) {
	ex := &proxy.Exchange{Attempts: []proxy.Attempt{
		{Peer: "a", Status: 502}, {Peer: "b", Status: 200}, {Peer: "c", Status: 404, Hop: 1}, {Peer: "d", Hop: 3},
	}}
	if got, want := string(mustTemplate(t, "$upstream_addr|$upstream_status").Append(nil, ex)), "a, b : c : d|502, 200 : 404 : -"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedirectError_SaysWhere(t *testing.T) {
	var err error = &proxy.RedirectError{To: "/x"}
	if target, ok := errors.AsType[*proxy.RedirectError](err); !ok || target.Error() != "internal redirect to /x" {
		t.Errorf("got %v", err)
	}
}
