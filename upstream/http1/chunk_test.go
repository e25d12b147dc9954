package http1

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spillway/proxy/httpfield"
)

const exampleChunks = "5;a=\"b\"\r\nhello\r\n0A;\r\n, \r\nworld!\r\n1\r\n\r\r\n000;x\r\nX-Sum: 1 2\r\nY:\r\n\r\n"

// TestDecoder_AnyCut decodes a body that is cut into two at every place, and into single bytes.
func TestDecoder_AnyCut(t *testing.T) {
	const want, rest = "hello, \r\nworld!\r", "HTTP/1.1"
	f := func(pieces ...string) {
		t.Helper()
		var d decoder
		var got, left []byte
		for _, piece := range pieces {
			p := []byte(piece)
			n, used, err := d.decode(p)
			if err != nil {
				t.Fatalf("%q: %v", pieces, err)
			}
			got = append(got, p[:n]...)
			left = append(left, p[used:]...)
		}
		if string(got) != want || string(left) != rest || !d.done() {
			t.Errorf("%q: got %q and %q left, want %q and %q", pieces, got, left, want, rest)
		}
	}
	all := exampleChunks + rest
	for i := range all {
		f(all[:i], all[i:])
	}
	f(strings.Split(all, "")...)
}

func TestHeadEnd_AnyCut(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\nA: b\n\r\n"} {
		for i := range len(text) {
			if got := headEnd([]byte(text[:i]), 0); got != -1 {
				t.Errorf("%q: got %d, want -1", text[:i], got)
			}
			if got := headEnd([]byte(text+"\r\n\r\n"), i); got != len(text) {
				t.Errorf("%q, searched up to %d: got %d, want %d", text, i, got, len(text))
			}
		}
	}
}

func TestDecoder_Trailers(t *testing.T) {
	d := decoder{keep: true}
	all := []byte(exampleChunks)
	for i := range all { // byte by byte
		if _, _, err := d.decode(all[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	d.trailers(func(name, value []byte) { got = append(got, string(name)+"="+string(value)) })
	if want := []string{"X-Sum=1 2", "Y="}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// oracle decodes a chunked body as a whole: slow, and from the grammar. ok is false when the body is malformed or cut.
func oracle(b string) (body, rest string, ok bool) {
	overhead := 0
	line := func() (string, bool) {
		text, after, found := strings.Cut(b, "\r\n")
		b = after
		return text, found && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
	}
	for {
		text, good := line()
		size, _, extended := strings.Cut(text, ";")
		if extended {
			overhead += len(text) - len(size) + 1
		}
		n, err := strconv.ParseUint(size, 16, 60)
		if !good || err != nil || len(size) > digitLimit || overhead > overheadLimit {
			return "", "", false
		}
		if n == 0 {
			break
		}
		if uint64(len(b)) < n+2 || b[n:n+2] != "\r\n" {
			return "", "", false
		}
		body, b = body+b[:n], b[n+2:]
	}
	for {
		text, good := line()
		overhead += len(text) + 2
		if !good || overhead > overheadLimit {
			return "", "", false
		}
		if text == "" {
			return body, b, true
		}
		name, _, found := strings.Cut(text, ":")
		const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		if !found || name == "" || strings.Trim(name, tokens) != "" {
			return "", "", false
		}
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte(exampleChunks), 3)
	f.Add([]byte("0\r\n\r\nrest"), 1)
	f.Add([]byte("7fffffffffffffff\r\nx"), 2)
	f.Add([]byte("5\r\nhello\r\n0\r\nA: b\r\n"), 100)
	f.Fuzz(func(t *testing.T, all []byte, step int) {
		step = max(step&0xff, 1)
		d := decoder{keep: true}
		var got, rest []byte
		failed := false
		for piece := range slices.Chunk(bytes.Clone(all), step) {
			n, used, err := d.decode(piece)
			if failed = err != nil; failed {
				break
			}
			if n > used || used > len(piece) || used < len(piece) && !d.done() {
				t.Fatalf("decode(%q) = %d, %d", piece, n, used)
			}
			got = append(got, piece[:n]...)
			rest = append(rest, piece[used:]...)
		}
		body, left, ok := oracle(string(all))
		near := len(all) > overheadLimit-64 // the oracle counts the overhead a little differently
		if good := !failed && d.done(); good != ok && !near {
			t.Fatalf("%q: accepted %v, want %v", all, good, ok)
		}
		if d.done() {
			d.trailers(func(name, value []byte) {
				if !httpfield.ValidName(name) || !httpfield.ValidValue(value) || !bytes.Contains(all, slices.Concat(name, []byte{':'})) {
					t.Fatalf("%q: got the trailer %q: %q", all, name, value)
				}
			})
		}
		if ok && d.done() && (string(got) != body || string(rest) != left) {
			t.Fatalf("%q: got %q and %q, want %q and %q", all, got, rest, body, left)
		}
	})
}
