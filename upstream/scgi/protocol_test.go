package scgi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// build returns the request's block with what follows dst.
func build(tb testing.TB, req *upstream.Request) (string, *cgi.Vars, error) {
	tb.Helper()
	var vars cgi.Vars
	if err := (&cgi.Params{Software: "spillway/1"}).Fill(&vars, req); err != nil {
		tb.Fatal(err)
	}
	got, err := block([]byte("before"), &vars)
	if err == nil && !bytes.HasPrefix(got, []byte("before")) {
		tb.Fatal("what was there is lost")
	}
	return strings.TrimPrefix(string(got), "before"), &vars, err
}

func TestBlock_LiteralBytes(t *testing.T) {
	req := &upstream.Request{
		Method: []byte("POST"), Target: []byte("/?q"), Path: []byte("/"), Query: []byte("q"), Bytes: []byte("hi"),
		Proto: []byte("HTTP/1.1"), Scheme: "http", RemoteAddr: "192.0.2.1", RemotePort: "4711",
		ServerAddr: "127.0.0.1", ServerPort: "8080", ServerName: "example.com",
		Params: []upstream.Field{{Name: []byte("SCGI"), Value: []byte("2")}, {Name: []byte("EMPTY")}},
	}
	variables := "CONTENT_LENGTH\x002\x00CONTENT_TYPE\x00\x00SCRIPT_NAME\x00\x00PATH_INFO\x00/\x00" +
		"GATEWAY_INTERFACE\x00CGI/1.1\x00SERVER_SOFTWARE\x00spillway/1\x00REDIRECT_STATUS\x00200\x00" +
		"REQUEST_METHOD\x00POST\x00REQUEST_URI\x00/?q\x00DOCUMENT_URI\x00/\x00QUERY_STRING\x00q\x00" +
		"SERVER_PROTOCOL\x00HTTP/1.1\x00REQUEST_SCHEME\x00http\x00" +
		"REMOTE_ADDR\x00192.0.2.1\x00REMOTE_PORT\x004711\x00SERVER_ADDR\x00127.0.0.1\x00SERVER_PORT\x008080\x00" +
		"SERVER_NAME\x00example.com\x00EMPTY\x00\x00SCGI\x001\x00"
	want := strconv.Itoa(len(variables)) + ":" + variables + ","
	if got, _, err := build(t, req); got != want || err != nil {
		t.Errorf("got\n%q, %v\nwant\n%q", got, err, want)
	}
	req.Bytes = nil
	if got, _, _ := build(t, req); !strings.Contains(got, ":CONTENT_LENGTH\x000\x00") {
		t.Errorf("without a body: got %q, want a length of 0", got)
	}
}

func TestBlock_RefusesZeroBytes(t *testing.T) {
	for _, f := range []upstream.Field{{Name: []byte("A\x00B"), Value: []byte("x")}, {Name: []byte("A"), Value: []byte("x\x00CONTENT_LENGTH\x005")}} {
		_, _, err := build(t, &upstream.Request{Params: []upstream.Field{f}})
		own := (*upstream.Error)(nil)
		if !errors.As(err, &own) || own.Status != 400 || !errors.Is(err, ErrZeroByte) {
			t.Errorf("%q: got %v, want ErrZeroByte", f, err)
		}
	}
}

// What is built is read back by a reader that knows only the specification.
func FuzzBlock(f *testing.F) {
	f.Add("NAME", "value", "/path", 1)
	f.Add("SCGI", "", "/", 0)
	f.Add("A\x00B", "c", "/\x00", 70000)
	f.Fuzz(func(t *testing.T, name, value, path string, length int) {
		if strings.HasPrefix(name, "HTTP_") || length < 0 {
			return
		}
		got, vars, err := build(t, &upstream.Request{
			Path: []byte(path), BodyLength: int64(length),
			Params: []upstream.Field{{Name: []byte(name), Value: []byte(value)}},
		})
		if err != nil {
			if !strings.Contains(name+value+path, "\x00") {
				t.Fatal(err)
			}
			return
		}
		r := bufio.NewReader(strings.NewReader(got))
		digits, _ := r.ReadString(':')
		size, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
		if err != nil {
			t.Fatal(err)
		}
		all, _ := io.ReadAll(r)
		if len(all) != size+1 || all[size] != ',' || all[size-1] != 0 {
			t.Fatalf("got %q of size %d", all, size)
		}
		parts := strings.Split(string(all[:size-1]), "\x00")
		pairs := slices.Collect(slices.Chunk(parts, 2))
		if first := pairs[0]; first[0] != "CONTENT_LENGTH" || first[1] != strconv.Itoa(length) {
			t.Fatalf("got %q first", first)
		}
		if last := pairs[len(pairs)-1]; last[0] != "SCGI" || last[1] != "1" {
			t.Fatalf("got %q last", last)
		}
		at := 1
		for i := 1; i < vars.Len(); i++ {
			name, value := vars.At(i)
			if string(name) == "SCGI" {
				continue
			}
			if pair := pairs[at]; pair[0] != string(name) || pair[1] != string(value) {
				t.Fatalf("got %q, want %q %q", pair, name, value)
			}
			at++
		}
		if at != len(pairs)-1 {
			t.Fatalf("got %d variables, want %d", len(pairs), at+1)
		}
	})
}
