package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
)

func TestPage_IsThatOfNginx(t *testing.T) {
	f := func(code int, title string) {
		t.Helper()
		want := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n" +
			"<hr><center>spillway</center>\r\n</body>\r\n</html>\r\n"
		if got := string(proxy.Page(code)); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
	f(400, "400 Bad Request")
	f(404, "404 Not Found")
	f(408, "408 Request Time-out")
	f(413, "413 Request Entity Too Large")
	f(414, "414 Request-URI Too Large")
	f(431, "431 Request Header Or Cookie Too Large")
	f(500, "500 Internal Server Error")
	f(502, "502 Bad Gateway")
	f(503, "503 Service Temporarily Unavailable")
	f(504, "504 Gateway Time-out")
}

func TestStatusError_SaysWhatHappened(t *testing.T) {
	err := error(&proxy.StatusError{Code: 502, Err: fs.ErrClosed})
	if got, want := err.Error(), "502 Bad Gateway: file already closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrClosed) {
		t.Error("the cause is lost")
	}
	if got, want := (&proxy.StatusError{Code: proxy.StatusClientGone}).Error(), "499 Client Closed Request"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever a handler has begun, the client gets the page and nothing else.
func TestExchange_SetErrorDropsWhatWasThere(t *testing.T) {
	begun := &content{}
	ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}, Content: begun, Length: -1}
	ex.Response.SetStatusCode(http.StatusOK)
	ex.Response.Set("X-App", "django")
	ex.Response.Set("Set-Cookie", "a=1")
	ex.SetError(fmt.Errorf("wrapped: %w", &proxy.StatusError{Code: 504, Cause: proxy.CauseTimeout}))

	if ex.Status() != 504 || ex.Cause != proxy.CauseTimeout || !bytes.Equal(ex.Bytes, proxy.Page(504)) {
		t.Errorf("got %d, %q, %q", ex.Status(), ex.Cause, ex.Bytes)
	}
	if got, want := ex.Length, int64(len(proxy.Page(504))); got != want {
		t.Errorf("got length %d, want %d", got, want)
	}
	if ex.Content != nil || begun.closed != 1 {
		t.Errorf("content closed %d times, want once", begun.closed)
	}
	for name := range ex.Response.All() {
		if string(name) == "X-App" || string(name) == "Set-Cookie" {
			t.Errorf("the field %s is still there", name)
		}
	}
	if got, want := string(ex.Response.ContentType()), "text/html"; got != want {
		t.Errorf("got type %q, want %q", got, want)
	}
	if ex.CloseClient {
		t.Error("a failure of the upstream closes the client's connection")
	}
}

// After these the request's end is not known or the client not to be trusted, so that the connection cannot go on.
func TestExchange_SetErrorClosesTheClient(t *testing.T) {
	f := func(code int, want bool) {
		t.Helper()
		ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}}
		ex.SetError(&proxy.StatusError{Code: code})
		if ex.CloseClient != want {
			t.Errorf("%d: got %v, want %v", code, ex.CloseClient, want)
		}
	}
	for _, code := range []int{400, 408, 413, 414, 431, 499} {
		f(code, true)
	}
	for _, code := range []int{404, 405, 500, 502, 503, 504} {
		f(code, false)
	}
}

func TestExchange_SetErrorOfAnotherKindIs500(t *testing.T) {
	ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}}
	ex.SetError(fs.ErrPermission)
	if ex.Status() != 500 || ex.Cause != proxy.CauseInternal {
		t.Errorf("got %d %q, want 500 %q", ex.Status(), ex.Cause, proxy.CauseInternal)
	}
}

func TestExchange_SetErrorSaysWhenToComeBack(t *testing.T) {
	f := func(after time.Duration, want string) {
		t.Helper()
		ex := &proxy.Exchange{Response: &fasthttp.ResponseHeader{}}
		ex.SetError(&proxy.StatusError{Code: 503, RetryAfter: after})
		if got := string(ex.Response.Peek("Retry-After")); got != want {
			t.Errorf("%v: got Retry-After %q, want %q", after, got, want)
		}
	}
	f(0, "")
	f(5*time.Second, "5")
}
