package fastcgi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/fastcgi"
)

// capture sends a request and returns what arrived until the connection ended, and Send's error.
func capture(t *testing.T, p *fastcgi.Protocol, req *upstream.Request) (string, error) {
	t.Helper()
	raw := make(chan string, 1)
	address := serve(t, func(_ net.Conn, r *bufio.Reader) {
		got, _ := io.ReadAll(r)
		raw <- string(got)
	})
	conn := lease(t, p, address)
	err := p.Send(conn, req)
	if conn.Phase != upstream.Sending {
		t.Errorf("got phase %v, want sending", conn.Phase)
	}
	conn.Release(upstream.Spent)
	return <-raw, err
}

func TestProtocol_SendsLiteralBytes(t *testing.T) {
	p := fastcgi.New(fastcgi.Options{Params: cgi.Params{Software: "spillway/1"}, KeepConn: true})
	got, err := capture(t, p, post("hi"))
	if err != nil {
		t.Fatal(err)
	}
	params := "\x0e\x01CONTENT_LENGTH2\x0c\x00CONTENT_TYPE\x0b\x00SCRIPT_NAME\x09\x01PATH_INFO/" +
		"\x11\x07GATEWAY_INTERFACECGI/1.1\x0f\x0aSERVER_SOFTWAREspillway/1\x0f\x03REDIRECT_STATUS200" +
		"\x0e\x04REQUEST_METHODPOST\x0b\x03REQUEST_URI/?q\x0c\x01DOCUMENT_URI/\x0c\x01QUERY_STRINGq" +
		"\x0f\x08SERVER_PROTOCOLHTTP/1.1\x0e\x04REQUEST_SCHEMEhttp" +
		"\x0b\x09REMOTE_ADDR192.0.2.1\x0b\x04REMOTE_PORT4711\x0b\x09SERVER_ADDR127.0.0.1\x0b\x04SERVER_PORT8080" +
		"\x0b\x0bSERVER_NAMEexample.com"
	want := "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00" +
		"\x01\x04\x00\x01" + string([]byte{byte(len(params) >> 8), byte(len(params))}) + "\x00\x00" + params +
		"\x01\x04\x00\x01\x00\x00\x00\x00" +
		"\x01\x05\x00\x01\x00\x02\x00\x00hi" +
		"\x01\x05\x00\x01\x00\x00\x00\x00"
	if got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	got, err = capture(t, fastcgi.New(fastcgi.Options{}), get())
	if err != nil || got[10] != 0 {
		t.Errorf("got flags %d, error %v, want flags 0 without KeepConn", got[10], err)
	}
}

func TestProtocol_SendsVariablesOfAnySize(t *testing.T) {
	req, want := get(), map[string]string{}
	given := func(name string, size int) {
		value := strings.Repeat("v", size)
		req.Params = append(req.Params, upstream.Field{Name: []byte(name), Value: []byte(value)})
		want[name] = value
	}
	for i, size := range []int{0, 127, 128, 65535 - 8, 65535, 70_000, 200_000} {
		given(fmt.Sprintf("V%d", i), size)
	}
	given(strings.Repeat("N", 127), 1)
	given(strings.Repeat("N", 128), 1)
	for i := range 500 {
		given(fmt.Sprintf("MANY_%d", i), 300)
	}
	raw, err := capture(t, fastcgi.New(fastcgi.Options{}), req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readRequest(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if got.vars[name] != value {
			t.Errorf("%.20s: got %d bytes, want %d", name, len(got.vars[name]), len(value))
		}
	}
}

func TestProtocol_EndsRecordsBetweenVariables(t *testing.T) {
	req := get()
	for i := range 40 {
		req.Params = append(req.Params, upstream.Field{Name: fmt.Appendf(nil, "V%d", i), Value: make([]byte, 10_000)})
	}
	raw, err := capture(t, fastcgi.New(fastcgi.Options{}), req)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := readRequest(strings.NewReader(raw))
	if len(got.params) < 7 {
		t.Fatalf("got %d records, want more than 6", len(got.params))
	}
	for rest := raw[16:]; rest[1] == 4; {
		length := int(rest[4])<<8 | int(rest[5])
		if err := readPairs(map[string]string{}, rest[8:8+length]); err != nil {
			t.Errorf("a record of %d bytes by itself: %v", length, err)
		}
		rest = rest[8+length:]
	}
}

func TestProtocol_SendsBodies(t *testing.T) {
	forged := record(1, "\x00\x01\x00\x00\x00\x00\x00\x00", 0) + record(4, "\x09\x01PHP_VALUE1", 0)
	p := fastcgi.New(fastcgi.Options{})
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 65528, 65529, 99_000, 262_112, 262_113, 1_000_000} {
		body := strings.Repeat(forged, size/len(forged)+1)[:size]
		streamed := post(body)
		streamed.Bytes, streamed.Body = nil, strings.NewReader(body+"beyond the declared length")
		halves := post(body)
		halves.Bytes, halves.Body = nil, iotest.HalfReader(iotest.DataErrReader(strings.NewReader(body)))
		for name, req := range map[string]*upstream.Request{"memory": post(body), "reader": streamed, "slow reader": halves} {
			raw, err := capture(t, p, req)
			if err != nil {
				t.Fatalf("%s of %d: %v", name, size, err)
			}
			got, err := readRequest(strings.NewReader(raw))
			if err != nil || got.body != body {
				t.Errorf("%s of %d: got %d bytes, error %v", name, size, len(got.body), err)
			}
		}
	}
}

// An application must not take a part of a body for the whole: no empty STDIN record follows it.
func TestProtocol_DoesNotFinishABrokenBody(t *testing.T) {
	broken := errors.New("client went away")
	own := upstream.NewError(upstream.Sending, upstream.TimedOut, "own")
	f := func(body io.Reader, want error, kind upstream.Kind) {
		t.Helper()
		req := get()
		req.Body, req.BodyLength = body, 100
		raw, err := capture(t, fastcgi.New(fastcgi.Options{}), req)
		if got := (*upstream.Error)(nil); !errors.Is(err, want) || !errors.As(err, &got) || got.Kind != kind {
			t.Errorf("got %v, want %v", err, want)
		}
		if _, err := readRequest(strings.NewReader(raw)); err == nil {
			t.Error("the request is complete")
		}
	}
	f(strings.NewReader("short"), io.ErrUnexpectedEOF, upstream.Canceled)
	f(io.MultiReader(strings.NewReader("a part"), iotest.ErrReader(broken)), broken, upstream.Canceled)
	f(iotest.ErrReader(own), own, upstream.TimedOut)
	f(idle{}, io.ErrNoProgress, upstream.Canceled)
}

// idle is a body that never delivers anything.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestProtocol_RefusesWhatIsNoCGI(t *testing.T) {
	chunked := get()
	chunked.BodyLength = -1
	unsafe := get()
	unsafe.Path = []byte("/a.php.")
	p := fastcgi.New(fastcgi.Options{Params: cgi.Params{Root: "/srv"}})
	for want, req := range map[error]*upstream.Request{cgi.ErrBodyLength: chunked, cgi.ErrUnsafeScript: unsafe} {
		if raw, err := capture(t, p, req); !errors.Is(err, want) || raw != "" {
			t.Errorf("got %v and %d bytes, want %v and none", err, len(raw), want)
		}
	}
}
