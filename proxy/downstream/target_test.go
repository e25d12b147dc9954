package downstream

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

func TestAppendPath(t *testing.T) {
	f := func(sep separators, raw, want string) {
		t.Helper()
		got, err := appendPath([]byte("kept"), []byte(raw), sep)
		if err != nil {
			got = []byte("keptrefused")
		}
		if string(got) != "kept"+want {
			t.Errorf("path %q: got %q, want %q", raw, got, "kept"+want)
		}
	}
	for _, sep := range []separators{slashOnly, slashAndBackslash} {
		f(sep, "", "/")
		f(sep, "/", "/")
		f(sep, "///", "/")
		f(sep, "/a", "/a")
		f(sep, "/a/", "/a/")
		f(sep, "//a//b//", "/a/b/")
		f(sep, "/.", "/")
		f(sep, "/a/.", "/a/")
		f(sep, "/a/./b", "/a/b")
		f(sep, "/a/..", "/")
		f(sep, "/a/../", "/")
		f(sep, "/a/b/../c", "/a/c")
		f(sep, "/a/b/..", "/a/")
		f(sep, "/a/b/../../c", "/c")
		f(sep, "/a//../b", "/b")
		f(sep, "/..", "refused")
		f(sep, "/../a", "refused")
		f(sep, "/a/../../b", "refused")
		f(sep, "/a/...", "/a/...")
		f(sep, "/.a/..b", "/.a/..b")
		f(sep, "/%41%2e%2E", "/A..")
		f(sep, "/a/%2e%2e/b", "/b")
		f(sep, "/a%2f..%2fb", "/b")
		f(sep, "/%252e%252e/", "/%2e%2e/")
		f(sep, "/%3f%23%25", "/?#%")
		f(sep, "/%", "refused")
		f(sep, "/%4", "refused")
		f(sep, "/%g0", "refused")
		f(sep, "/%00", "refused")
		f(sep, "/%1f", "refused")
		f(sep, "/%7f", "refused")
		f(sep, "/%20", "/ ")
	}
	f(slashOnly, `/a\..\b`, `/a\..\b`)
	f(slashAndBackslash, `/a\..\b`, "/b")
	f(slashAndBackslash, `/a%5c..%5Cb`, "/b")
	f(slashAndBackslash, `/..\`, "refused")
	f(slashAndBackslash, `\\server\share`, "/server/share")
}

func TestWin32Path(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		got, err := win32Path([]byte(path))
		if err != nil {
			got = []byte("refused")
		}
		if string(got) != want {
			t.Errorf("path %q: got %q, want %q", path, got, want)
		}
	}
	f("/", "/")
	f("/a/b", "/a/b")
	f("/a/b/", "/a/b/")
	f("/a./b. ", "/a/b")
	f("/a . ./b", "/a/b")
	f("/a.b/c d", "/a.b/c d")
	f("/.a", "/.a")
	f("/...", "refused")
	f("/ /a", "refused")
	f("/a/. ./b", "refused")
	f("/file::$DATA", "refused")
	f("/dir:$i30:$INDEX_ALLOCATION/", "refused")
}

func TestParseHost(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		got, err := parseHost(nil, []byte(value))
		if err != nil {
			got = []byte("refused")
		}
		if string(got) != want {
			t.Errorf("host %q: got %q, want %q", value, got, want)
		}
	}
	f("A.b-C_d", "a.b-c_d")
	f("a.", "a")
	f("a.:8080", "a")
	f("a:", "a")
	f("a:65535", "a")
	f("a:65536", "refused")
	f("127.0.0.1:80", "127.0.0.1")
	f("[2001:DB8::1]:80", "[2001:db8::1]")
	f("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]")
	f("[]", "refused")
	f("[a]", "refused")
	f("[::1%25eth0]", "refused")
	f("", "refused")
	f(".a", "refused")
	f("a..", "refused")
	f("..", "refused")
	f(":80", "refused")
	f("a:b", "refused")
	f("a:1:2", "refused")
	f("a%00", "refused")
	f("\xc3\xa4", "refused")
	f(strings.Repeat("a", 256), "refused")
}

// However a chunked body is cut into reads, the data is the same, and so is the end.
func FuzzChunks(f *testing.F) {
	for _, body := range []string{
		"5\r\nhello\r\n0\r\n\r\nGET /", "5;a=b\r\nhello\r\n00\r\nX: y\r\nZ: y\r\n\r\nrest", "A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
		"0\r\n\r\n", "5 \r\nhello\r\n", "1\nx", "ffffffffffffffff\r\n", "1\r\nxy\r\n", "0\r\n X\r\n\r\n",
	} {
		f.Add([]byte(body), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		filter := func(step int) (kept []byte, used int, done, failed bool) {
			var k chunks
			k.reset()
			for used < len(body) && !k.done() {
				p := bytes.Clone(body[used:min(len(body), used+step)])
				n, m, err := k.filter(p)
				kept, used = append(kept, p[:n]...), used+m
				if err != nil {
					return kept, used, false, true
				}
			}
			return kept, used, k.done(), false
		}
		kept, used, done, failed := filter(len(body) + 1)
		kept2, used2, done2, failed2 := filter(int(size) + 1)
		if !bytes.Equal(kept, kept2) || used != used2 || done != done2 || failed != failed2 {
			t.Fatalf("got %q %d %v %v in one piece, %q %d %v %v in pieces of %d", kept, used, done, failed, kept2, used2, done2, failed2, size)
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
		if done && (err != nil || !bytes.Equal(kept, want)) { // it takes more than we do
			t.Fatalf("got %q, want %q, %v", kept, want, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{"/a/../b", "/%2e%2e/", `/a\..\b`, "//a//", "/a. /..", "/%41", "/a::$DATA"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, sep := range []separators{slashOnly, slashAndBackslash} {
			path, err := appendPath(nil, []byte(raw), sep)
			if err == nil && sep == slashAndBackslash {
				path, err = win32Path(path)
			}
			if err != nil {
				continue
			}
			if len(path) == 0 || path[0] != '/' || bytes.Contains(path, []byte("//")) {
				t.Fatalf("path %q: got %q", raw, path)
			}
			for segment := range bytes.SplitSeq(path, []byte("/")) {
				if string(segment) == "." || string(segment) == ".." || sep == slashAndBackslash && bytes.ContainsRune(segment, '\\') {
					t.Fatalf("path %q: got %q", raw, path)
				}
			}
		}
	})
}
