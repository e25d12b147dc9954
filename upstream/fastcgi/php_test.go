//go:build unix

package fastcgi_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/fastcgi"
)

// phpPeer starts php-cgi on a port of its own, which the kernel chose, and returns its address. The process inherits the
// listening socket, which Windows does not offer this way.
func phpPeer(t *testing.T) (address string) {
	t.Helper()
	program := "/usr/bin/php-cgi"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("SPILLWAY_REQUIRE_BACKENDS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // the process has its own
	tcp, _ := ln.(*net.TCPListener)
	file, err := tcp.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-n", "-d", "cgi.fix_pathinfo=0", "-d", "log_errors=1", "-d", "error_log=")
	cmd.Stdin = file // the specification's listening socket, FCGI_LISTENSOCK_FILENO
	cmd.Env = []string{"PHP_FCGI_CHILDREN=0", "PHP_FCGI_MAX_REQUESTS=0"}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return ln.Addr().String()
}

func TestProtocol_WithPHP(t *testing.T) {
	address, root := phpPeer(t), t.TempDir()
	scripts := map[string]string{
		"echo.php":   `<?php $b = file_get_contents('php://input'); header('X-Path: ' . $_SERVER['SCRIPT_NAME'] . '|' . @$_SERVER['PATH_INFO']); echo strlen($b), ' ', sha1($b);`,
		"vars.php":   `<?php echo $_SERVER['BIG'] === str_repeat('v', 60000) ? 'same' : 'other', ' ', count(preg_grep('/^MANY/', array_keys($_SERVER)));`,
		"notice.php": `<?php error_log('a notice'); http_response_code(404); echo 'gone';`,
		"index.php":  `<?php echo 'index';`,
		"big.php":    `<?php for ($i = 0; $i < 32768; $i++) printf("%063d\n", $i);`,
		"length.php": `<?php header('Content-Length: 5'); echo 'hello';`,
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	split, err := cgi.ParseSplit(`^(.+?\.php)(/.*)?$`)
	if err != nil {
		t.Fatal(err)
	}
	p := fastcgi.New(fastcgi.Options{Params: cgi.Params{Root: root, Index: "index.php", Split: split}, KeepConn: true})
	conn := lease(t, p, address)
	defer conn.Release(upstream.Spent)
	at := func(req *upstream.Request, path string) *upstream.Request {
		req.Path, req.Target = []byte(path), []byte(path)
		return req
	}

	for _, size := range []int{0, 10, 100_000, 3_000_000} {
		body := strings.Repeat("0123456789", size/10)
		req := at(post(body), "/echo.php/more/path")
		if size == 100_000 {
			req.Bytes, req.Body = nil, strings.NewReader(body)
		}
		sum := sha1.Sum([]byte(body))
		resp, got := roundTrip(t, p, conn, req, nil)
		if want := fmt.Sprintf("%d %s", size, hex.EncodeToString(sum[:])); got != want || !resp.Reusable {
			t.Errorf("got %q, reusable %v, want %q", got, resp.Reusable, want)
		}
		if got := string(resp.Header.Peek("X-Path")); got != "/echo.php|/more/path" {
			t.Errorf("got path %q", got)
		}
	}

	req := at(get(), "/vars.php")
	req.Params = append(req.Params, upstream.Field{Name: []byte("BIG"), Value: []byte(strings.Repeat("v", 60_000))})
	for i := range 300 {
		req.Params = append(req.Params, upstream.Field{Name: fmt.Appendf(nil, "MANY_%d", i), Value: []byte(strings.Repeat("m", 500))})
	}
	if _, got := roundTrip(t, p, conn, req, nil); got != "same 300" {
		t.Errorf("got %q: PHP did not read the variables", got)
	}

	var lines []string
	resp, got := roundTrip(t, p, conn, at(get(), "/notice.php"), &lines)
	if got != "gone" || resp.Header.StatusCode() != 404 || !strings.Contains(strings.Join(lines, ""), "a notice") {
		t.Errorf("got %q, status %d, stderr %q", got, resp.Header.StatusCode(), lines)
	}
	if _, got := roundTrip(t, p, conn, at(get(), "/"), nil); got != "index" {
		t.Errorf("got %q, want the index", got)
	}
	if resp, got := roundTrip(t, p, conn, at(get(), "/big.php"), nil); len(got) != 2<<20 || !resp.Reusable {
		t.Errorf("got %d bytes, reusable %v", len(got), resp.Reusable)
	}
	head := at(get(), "/length.php")
	head.Method = []byte("HEAD")
	if resp, got := roundTrip(t, p, conn, head, nil); got != "" || resp.Length != 5 || !resp.Reusable {
		t.Errorf("HEAD: got %q, length %d, reusable %v", got, resp.Length, resp.Reusable)
	}
	resp, got = roundTrip(t, p, conn, at(get(), "/missing.php"), nil)
	if resp.Header.StatusCode() != 404 || !strings.Contains(got, "No input file") {
		t.Errorf("got status %d, %q", resp.Header.StatusCode(), got)
	}
}

// Without keep_conn PHP closes after each response, and the connection is not reused.
func TestProtocol_WithPHPClosing(t *testing.T) {
	address, root := phpPeer(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.php"), []byte(`<?php echo 'hello';`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := fastcgi.New(fastcgi.Options{Params: cgi.Params{Root: root}})
	for range 3 {
		conn := lease(t, p, address)
		req := get()
		req.Path, req.Target = []byte("/a.php"), []byte("/a.php")
		if resp, got := roundTrip(t, p, conn, req, nil); got != "hello" || resp.Reusable {
			t.Errorf("got %q, reusable %v", got, resp.Reusable)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the end of the connection", err)
		}
		conn.Release(upstream.Spent)
	}
}
