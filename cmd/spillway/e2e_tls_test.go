//go:build linux && !race

package main_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/upstream/certtest"
	"spillway/upstream/porttest"
)

// describeRequest says what came, and echoes on a connection that is upgraded.
func describeRequest(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = both.Flush()
		_, _ = io.Copy(conn, both)
		return
	}
	name := "none"
	if r.TLS != nil {
		name = r.TLS.ServerName
	}
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s name=%s length=%d body=%d close=%v err=%v", r.Proto, name, r.ContentLength, len(body), r.Close, err)
}

// selfSigned makes a certificate for a name, and no address.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	made, err := certtest.Issue(name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// writePair writes a certificate for a name, with its key, into a file of its own.
func writePair(t *testing.T, name string) string {
	t.Helper()
	certificate, key, err := certtest.PEM(selfSigned(t, name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "site.pem")
	if err := os.WriteFile(file, append(certificate, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPeer_TLSAndVersions: what a peer is asked by tls and http_version, and what its operator reads when the certificate is wrong.
func TestPeer_TLSAndVersions(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS() // its certificate is for example.com and 127.0.0.1, by itself
	defer secure.Close()
	plain := httptest.NewServer(http.HandlerFunc(describeRequest))
	defer plain.Close()
	local := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	local.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, "localhost")}}
	local.StartTLS()
	defer local.Close()
	dir, addr := t.TempDir(), porttest.Address(t)
	for name, server := range map[string]*httptest.Server{"ca.pem": secure, "local.pem": local} {
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(filepath.Join(dir, name), ca, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	s := startProgram(t, dir, addr, fmt.Sprintf(`
upstreams:
  secure: {keepalive: 4, tls: {trusted_certificate: ca.pem, server_name: example.com}, peers: ["%[1]s"]}
  address: {tls: {trusted_certificate: ca.pem}, peers: ["%[1]s"]}
  local: {tls: {trusted_certificate: local.pem}, peers: ["localhost:%[4]d"], health: {path: /}}
  unverified: {tls: {verify: off}, peers: ["%[1]s"]}
  stranger: {tls: on, peers: ["%[1]s"]}
  misnamed: {tls: {trusted_certificate: ca.pem, server_name: other.test}, peers: ["%[1]s"]}
  old: {http_version: "1.0", peers: ["%[2]s"]}
servers:
  - listen: ["%[3]s"]
    locations:
      - {path: /secure, pass: secure}
      - {path: /streamed, pass: secure, request_buffering: off}
      - {path: /address, pass: address}
      - {path: /local, pass: local}
      - {path: /unverified, pass: unverified}
      - {path: /stranger, pass: stranger}
      - {path: /misnamed, pass: misnamed}
      - {path: /old, pass: old, request_buffering: off}
`, at(secure), at(plain), addr, local.Listener.Addr().(*net.TCPAddr).Port))
	eventually(t, "the program serves", func() bool { return !refuses(addr) || s.hasEnded() })
	f := func(path string, body io.Reader, status int, want string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %d %s, %v, want %d %s", path, resp.StatusCode, got, err, status, want)
		}
	}
	large := strings.Repeat("0123456789", 50000)
	for range 3 { // the connection is kept
		f("/secure", strings.NewReader(large), 200, "HTTP/1.1 name=example.com length=500000 body=500000 close=false err=<nil>")
	}
	f("/streamed", io.MultiReader(strings.NewReader(large)), 200, "HTTP/1.1 name=example.com length=-1 body=500000 close=false err=<nil>")
	f("/address", strings.NewReader("x"), 200, "HTTP/1.1 name= length=1 body=1 close=true err=<nil>")
	f("/local", nil, 200, "HTTP/1.1 name=localhost length=0 body=0 close=true err=<nil>")
	f("/unverified", nil, 200, "HTTP/1.1 name= length=0 body=0 close=true err=<nil>")
	f("/old", io.MultiReader(strings.NewReader("chunks")), 200, "HTTP/1.0 name=none length=6 body=6 close=true err=<nil>")
	f("/stranger", nil, 502, "502 Bad Gateway")
	f("/misnamed", nil, 502, "502 Bad Gateway")
	for _, want := range []string{
		"upstream SSL certificate verify error (x509: certificate signed by unknown authority) while SSL handshaking to upstream, ",
		"upstream SSL certificate verify error (x509: certificate is valid for example.com", ", not other.test) while SSL handshaking to upstream, ",
		`upstream: "https://` + at(secure) + `/stranger"`,
	} {
		eventually(t, want, func() bool { return strings.Contains(s.errorLog(), want) })
	}

	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /secure HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v, want a tunnel", resp, err)
	}
	go func() { // ends when all is sent
		_, _ = io.WriteString(conn, large)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(r); err != nil || string(got) != large {
		t.Errorf("got %d bytes, %v, want the %d sent", len(got), err, len(large))
	}
}

// TestTLS_KeyUpdates: a client that changes its keys, and asks for others, between its requests. Go's cannot.
func TestTLS_KeyUpdates(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("SPILLWAY_REQUIRE_BACKENDS") == "1" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("openssl is not installed")
	}
	app := httptest.NewServer(http.HandlerFunc(describeRequest))
	defer app.Close()
	addr := porttest.Address(t)
	s := startProgram(t, t.TempDir(), addr, fmt.Sprintf("listen: '%s tls'\ntls: {certificate: '%s'}\nupstreams: {app: {peers: [%q]}}\n",
		addr, writePair(t, "site.test"), app.Listener.Addr()))
	eventually(t, "the program serves", func() bool { return !refuses(addr) || s.hasEnded() })
	client := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", addr, "-tls1_3")
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, written, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	client.Stdout, client.Stderr = written, written
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	written.Close()
	defer func() { _ = client.Wait() }() // ends with the connection
	defer in.Close()
	lines := bufio.NewScanner(out)
	has := func(text string) bool {
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return true
			}
		}
		return false
	}
	await := func(text string) {
		t.Helper()
		if !has(text) {
			t.Fatalf("got no %q", text)
		}
	}
	await("Verify return code")
	for range 3 {
		for range 10 {
			_, _ = io.WriteString(in, "K\n")
			await("KEYUPDATE")
		}
		_, _ = io.WriteString(in, "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
		await("HTTP/1.1 200 OK")
	}
	for n := 0; ; n++ { // and with nothing between them, it has to go
		if _, err := io.WriteString(in, "K\n"); err != nil || !has("KEYUPDATE") {
			break
		}
		if n > 1000 {
			t.Fatal("the server takes any number of them")
		}
	}
}
