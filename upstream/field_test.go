package upstream_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
)

func TestResponse_AddFieldDropsWhatMustNotCross(t *testing.T) {
	resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}}
	resp.Reset()
	resp.Header.DisableNormalizing()
	resp.Header.SetNoDefaultContentType(true)
	resp.NameConnection([]byte("close , x-mine"))
	resp.NameConnection([]byte("X-Other"))
	for _, name := range []string{
		"Connection", "keep-alive", "TE", "Trailer", "UPGRADE", "Proxy-Connection", "Transfer-Encoding", "Content-Length",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "X-Mine", "x-other",
		"Date", "Server", "X-Pad", "X-Accel-Redirect", "x-accel-anything",
	} {
		resp.AddField([]byte(name), []byte("dropped"))
	}
	kept := []upstream.Field{
		{Name: []byte("x-Case"), Value: []byte("1")},
		{Name: []byte("Set-Cookie"), Value: []byte("b=1")},
		{Name: []byte("Set-Cookie"), Value: []byte("a=2")},
		{Name: []byte("X-Accel"), Value: []byte("3")},
		{Name: []byte("Content-Type"), Value: []byte("text/plain")},
		{Name: []byte("X-Mine-Too"), Value: []byte("4")},
	}
	want := map[string]int{}
	for _, f := range kept {
		resp.AddField(f.Name, f.Value)
		want[string(f.Name)+": "+string(f.Value)]++
	}
	got := map[string]int{}
	for name, value := range resp.Header.All() {
		got[string(name)+": "+string(value)]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	resp.Reset()
	resp.AddField([]byte("X-Mine"), []byte("now kept"))
	if got := resp.Header.Peek("X-Mine"); string(got) != "now kept" {
		t.Errorf("Reset kept the names of the Connection field: got %q", got)
	}
}

func TestResponse_SetStatus(t *testing.T) {
	for code, good := range map[int]bool{0: false, 99: false, 100: false, 101: false, 199: false, 200: true, 599: true, 600: false} {
		resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}}
		err := resp.SetStatus(code)
		var failure *upstream.Error
		switch {
		case good && (err != nil || resp.Header.StatusCode() != code):
			t.Errorf("%d: got %d, error %v", code, resp.Header.StatusCode(), err)
		case !good && (!errors.As(err, &failure) || failure.Kind != upstream.Invalid):
			t.Errorf("%d: got error %v, want an invalid one", code, err)
		}
	}
}
