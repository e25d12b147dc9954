package uwsgi

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// fill returns the variables of a request.
func fill(tb testing.TB, req *upstream.Request) *cgi.Vars {
	tb.Helper()
	var vars cgi.Vars
	if err := (&cgi.Params{Software: "spillway/1"}).Fill(&vars, req); err != nil {
		tb.Fatal(err)
	}
	return &vars
}

func TestPacket_LiteralBytes(t *testing.T) {
	req := &upstream.Request{
		Method: []byte("POST"), Target: []byte("/?q"), Path: []byte("/"), Query: []byte("q"), Bytes: []byte("hi"),
		Proto: []byte("HTTP/1.1"), Scheme: "http", RemoteAddr: "192.0.2.1", RemotePort: "4711",
		ServerAddr: "127.0.0.1", ServerPort: "8080", ServerName: "example.com",
	}
	got, err := appendPacket([]byte("before"), fill(t, req), 5, 200)
	variables := "\x0e\x00CONTENT_LENGTH\x01\x002\x0c\x00CONTENT_TYPE\x00\x00\x0b\x00SCRIPT_NAME\x00\x00\x09\x00PATH_INFO\x01\x00/" +
		"\x11\x00GATEWAY_INTERFACE\x07\x00CGI/1.1\x0f\x00SERVER_SOFTWARE\x0a\x00spillway/1\x0f\x00REDIRECT_STATUS\x03\x00200" +
		"\x0e\x00REQUEST_METHOD\x04\x00POST\x0b\x00REQUEST_URI\x03\x00/?q\x0c\x00DOCUMENT_URI\x01\x00/\x0c\x00QUERY_STRING\x01\x00q" +
		"\x0f\x00SERVER_PROTOCOL\x08\x00HTTP/1.1\x0e\x00REQUEST_SCHEME\x04\x00http" +
		"\x0b\x00REMOTE_ADDR\x09\x00192.0.2.1\x0b\x00REMOTE_PORT\x04\x004711\x0b\x00SERVER_ADDR\x09\x00127.0.0.1" +
		"\x0b\x00SERVER_PORT\x04\x008080\x0b\x00SERVER_NAME\x0b\x00example.com"
	want := "before\x05" + string([]byte{byte(len(variables)), byte(len(variables) >> 8)}) + "\xc8" + variables
	if string(got) != want || err != nil {
		t.Errorf("got\n%q, %v\nwant\n%q", got, err, want)
	}
}

// The size has 16 bits: what does not fit is refused, and what just fits is not.
func TestPacket_RefusesWhatDoesNotFit(t *testing.T) {
	empty := fill(t, &upstream.Request{Params: []upstream.Field{{Name: []byte("LARGE")}}})
	room := 65535 - empty.Size() - 4*empty.Len()
	large := func(size int) *cgi.Vars {
		return fill(t, &upstream.Request{Params: []upstream.Field{{Name: []byte("LARGE"), Value: make([]byte, size)}}})
	}
	got, err := appendPacket(nil, large(room), 0, 0)
	if err != nil || len(got) != 65539 || got[1] != 0xff || got[2] != 0xff {
		t.Errorf("got %d bytes, %x, %v, want 65539", len(got), got[:4], err)
	}
	_, err = appendPacket(nil, large(room+1), 0, 0)
	own := (*upstream.Error)(nil)
	if !errors.As(err, &own) || own.Status != 431 || own.Kind != upstream.Canceled ||
		!strings.Contains(err.Error(), "65536 bytes of variables, and uwsgi carries 65535") {
		t.Errorf("got %v, want a refusal with 431", err)
	}
}

// What is built is read back by a reader that knows only the specification.
func FuzzPacket(f *testing.F) {
	f.Add("NAME", "value", "/path", uint16(1))
	f.Add("N", "v", "/", uint16(60000))
	f.Add("A\x00B", "c\x00", "/\x00", uint16(0))
	f.Fuzz(func(t *testing.T, name, value, path string, times uint16) {
		value = strings.Repeat(value, int(times))
		if strings.HasPrefix(name, "HTTP_") || len(value) > 1<<20 {
			return
		}
		vars := fill(t, &upstream.Request{
			Path: []byte(path), Params: []upstream.Field{{Name: []byte(name), Value: []byte(value)}},
		})
		got, err := appendPacket(nil, vars, 1, 2)
		if err != nil {
			if len(name)+len(value)+2*len(path) < 60000 {
				t.Fatal(err)
			}
			return
		}
		if got[0] != 1 || got[3] != 2 || int(binary.LittleEndian.Uint16(got[1:])) != len(got)-4 {
			t.Fatalf("got header %x for %d bytes", got[:4], len(got))
		}
		rest := got[4:]
		cut := func() string {
			n := int(binary.LittleEndian.Uint16(rest))
			text := string(rest[2 : 2+n])
			rest = rest[2+n:]
			return text
		}
		for i := range vars.Len() {
			name, value := vars.At(i)
			if gotName, gotValue := cut(), cut(); gotName != string(name) || gotValue != string(value) {
				t.Fatalf("got %.40q %.40q, want %.40q %.40q", gotName, gotValue, name, value)
			}
		}
		if len(rest) > 0 {
			t.Fatalf("%d bytes behind the variables", len(rest))
		}
	})
}
