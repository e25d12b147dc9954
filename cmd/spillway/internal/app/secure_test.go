package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/cmd/spillway/internal/app"
	"spillway/upstream/certtest"
	"spillway/upstream/porttest"
)

// writeCertificate writes a certificate for a name, which is good for a year, and its key into one file.
func writeCertificate(t *testing.T, path, name string) {
	t.Helper()
	writeCertificateUntil(t, path, name, time.Now().AddDate(1, 0, 0))
}

func writeCertificateUntil(t *testing.T, path, name string, end time.Time) {
	t.Helper()
	pair, err := certtest.Issue(name, nil, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = end.AddDate(-2, 0, 0), end })
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := certtest.PEM(pair)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(certificate, key...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shown is the name in the certificate that a client sees who asks for a name, and the version that is spoken.
func shown(t *testing.T, addr, name string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state := c.ConnectionState()
	return state.PeerCertificates[0].DNSNames[0] + " " + tls.VersionName(state.Version)
}

// secureAsk is ask by https.
func secureAsk(t *testing.T, addr string) (*http.Response, error) {
	t.Helper()
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: time.Minute,
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return response, err
}

func TestTLS_CertificateIsThatOfTheName(t *testing.T) {
	addr, dir := porttest.Address(t), t.TempDir()
	server := func(name, more string) string {
		file := filepath.Join(dir, name+".pem")
		writeCertificate(t, file, name)
		return fmt.Sprintf("  - {listen: '%s tls', tls: {certificate: '%s'%s}, locations: [{path: /, pass: a}]", addr, file, more)
	}
	r := start(t, fmt.Sprintf("access_log: off\nupstreams: {a: {peers: [%q]}}\nservers:\n%s\n%s\n%s\n%s\n", peer(t, "a"),
		server("wild.test", "")+", server_name: '*.example.test'}",
		server("exact.test", ", protocols: TLSv1.2")+", server_name: www.example.test}",
		server("default.test", "")+", server_name: other.test, default_server: on}",
		server("head.test", "")+", server_name: 'www.*'}"))
	f := func(name, want string) {
		t.Helper()
		if got := shown(t, addr, name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	f("www.example.test", "exact.test TLS 1.2")
	f("WWW.example.test", "exact.test TLS 1.2")
	f("a.example.test", "wild.test TLS 1.3")
	f("www.nobody.test", "head.test TLS 1.3")
	f("nobody.test", "default.test TLS 1.3")
	f("", "default.test TLS 1.3")
	if want := "https://" + addr; !strings.Contains(r.out.String(), want) || !r.Status().Listeners[0].TLS {
		t.Errorf("got %s, want %s in it", r.out.String(), want)
	}
}

// TestReload_TLS: certificates are read anew, whatever their paths; an address gets TLS, and loses it; what cannot be is refused.
func TestReload_TLS(t *testing.T) {
	addr, file := porttest.Address(t), filepath.Join(t.TempDir(), "site.pem")
	plain := fmt.Sprintf("listen: %s\naccess_log: off\nupstreams: {a: {peers: [%q]}}\n", addr, peer(t, "a"))
	secure := strings.Replace(plain, addr, "'"+addr+" tls'\ntls: {certificate: '"+file+"'}", 1)
	r := start(t, plain)

	writeCertificate(t, file, "first.test")
	r.reload(t, secure)
	if got := shown(t, addr, ""); got != "first.test TLS 1.3" {
		t.Errorf("got %s", got)
	}
	stays, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()

	writeCertificate(t, file, "second.test")
	r.reload(t, secure)
	if got := shown(t, addr, ""); got != "second.test TLS 1.3" {
		t.Errorf("got %s", got)
	}
	if _, err := fmt.Fprintf(stays, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Error(err)
	}
	answer := make([]byte, 12)
	if _, err := stays.Read(answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("got %q, %v on a connection from before", answer, err)
	}

	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), parse(t, r.dir, secure)); err == nil {
		t.Error("got no error for a file without a certificate")
	}
	if response, err := secureAsk(t, addr); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v after a reload that was refused", response, err)
	}

	r.reload(t, plain)
	if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK {
		t.Errorf("got status %d without TLS", response.StatusCode)
	}
}

// TestTLS_Expired: a certificate that has expired serves, and its operator is told.
func TestTLS_Expired(t *testing.T) {
	addr, file := porttest.Address(t), filepath.Join(t.TempDir(), "site.pem")
	writeCertificateUntil(t, file, "old.test", time.Now().Add(-time.Hour))
	text := fmt.Sprintf("listen: '%s tls'\ntls: {certificate: '%s'}\naccess_log: off\nupstreams: {a: {peers: [%q]}}\n", addr, file, peer(t, "a"))
	r := start(t, text)
	if problems := app.Check(parse(t, r.dir, text), nil); len(problems) > 0 {
		t.Errorf("got %v", problems)
	}
	if got := shown(t, addr, ""); got != "old.test TLS 1.3" {
		t.Errorf("got %s", got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "logs", "error.log"))
	if want := `spillway.yaml:2: "` + file + `" has expired at `; err != nil || !strings.Contains(string(log), want) {
		t.Errorf("got %s, %v, want %s in it", log, err, want)
	}
}
