package configs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/upstream/certtest"
)

// writePair writes a certificate that is valid in the time, and its key, as NAME.pem and NAME.key.
func writePair(t *testing.T, dir, name string, from, to time.Time) {
	t.Helper()
	pair, err := certtest.Issue(name, nil, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to })
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := certtest.PEM(pair)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{name + ".pem": certificate, name + ".key": key} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckHost_LooksAtCertificates(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	writePair(t, dir, "good", now.Add(-time.Hour), now.Add(time.Hour))
	writePair(t, dir, "other", now.Add(-time.Hour), now.Add(time.Hour))
	writePair(t, dir, "old", now.Add(-2*time.Hour), now.Add(-time.Hour))
	writePair(t, dir, "new", now.Add(time.Hour), now.Add(2*time.Hour))
	if err := os.WriteFile(filepath.Join(dir, "text.pem"), []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(values string, want ...string) {
		t.Helper()
		got := hostProblems(t, host{}, dir, "listen: 80\nupstreams: {app: {peers: [127.0.0.1], tls: {"+values+"}}}")
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", values, got, want)
			return
		}
		for i, p := range got {
			if !strings.Contains(p.Key+": "+p.Message, want[i]) {
				t.Errorf("%s: got %q, want %q", values, p, want[i])
			}
		}
	}
	f("trusted_certificate: good.pem, certificate: good.pem, certificate_key: good.key")
	f("trusted_certificate: none.pem", "upstreams.app.tls.trusted_certificate: open ")
	f("trusted_certificate: text.pem", `text.pem" is not PEM`)
	f("trusted_certificate: good.key", "good.key\": x509: ")
	f("trusted_certificate: old.pem", `old.pem" has expired at `)
	f("trusted_certificate: new.pem", `new.pem" is not valid before `)
	f("certificate: none.pem, certificate_key: good.key", "upstreams.app.tls.certificate: open ")
	f("certificate: good.pem, certificate_key: text.pem", `upstreams.app.tls.certificate_key: "`)
	f("certificate: good.pem, certificate_key: other.key", "private key does not match public key")
	f("certificate: old.pem, certificate_key: old.key", `old.pem" has expired at `)
}

func TestTLS_Versions(t *testing.T) {
	f := func(lowest, highest uint16, protocols ...string) {
		t.Helper()
		if l, h := (&TLS{Protocols: protocols}).Versions(); l != lowest || h != highest {
			t.Errorf("%q: got %x to %x, want %x to %x", protocols, l, h, lowest, highest)
		}
	}
	f(0, 0)
	f(tls.VersionTLS13, tls.VersionTLS13, "TLSv1.3")
	f(tls.VersionTLS12, tls.VersionTLS13, "TLSv1.3", "TLSv1.2")
	f(tls.VersionTLS10, tls.VersionTLS12, "TLSv1", "TLSv1.1", "TLSv1.2")
}

func TestTLS_PortOfPeers(t *testing.T) {
	c, err := Parse("s.yaml", []byte("listen: 80\nupstreams: {app: {tls: on, peers: [127.0.0.1, '127.0.0.1:8443']}}"))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Upstreams[0]
	if u.Peers[0].Address != "127.0.0.1:443" || u.Peers[1].Address != "127.0.0.1:8443" || !u.TLS.Verify || !u.TLS.SessionReuse {
		t.Errorf("got %+v", u)
	}
}

func TestCheckExpiry(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	writePair(t, dir, "good", now.Add(-time.Hour), now.Add(60*24*time.Hour))
	writePair(t, dir, "other", now.Add(-time.Hour), now.Add(time.Hour))
	writePair(t, dir, "ending", now.Add(-time.Hour), now.Add(73*time.Hour))
	writePair(t, dir, "old", now.Add(-2*time.Hour), now.Add(-time.Hour))
	both := ""
	for _, name := range []string{"good.key", "good.pem"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both += string(data)
	}
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(values, want, expiry string) {
		t.Helper()
		text := "listen: 443 tls\ntls: {" + values + "}\nupstreams: {app: {peers: [127.0.0.1]}}"
		got := hostProblems(t, host{}, dir, text)
		c, _ := Parse(filepath.Join(dir, "spillway.yaml"), []byte(text))
		for _, list := range []struct {
			got  Problems
			want string
		}{{got, want}, {c.CheckExpiry(), expiry}} {
			if text := list.got.Error(); list.want == "" && text != "" || !strings.Contains(text, list.want) || len(list.got) > 1 {
				t.Errorf("%s: got %q, want %q", values, text, list.want)
			}
		}
	}
	f("certificate: good.pem, certificate_key: good.key", "", "")
	f("certificate: both.pem", "", "")
	f("certificate: none.pem", "tls.certificate: open ", "")
	f("certificate: good.pem", `good.pem" has no certificate with its key: `, "")
	f("certificate: good.pem, certificate_key: other.key", "private key does not match public key", "")
	f("certificate: good.pem, certificate_key: none.key", "tls.certificate_key: open ", "")
	f("certificate: ending.pem, certificate_key: ending.key", "", "days")
	f("certificate: ending.pem, certificate_key: ending.key", "", `ending.pem" expires at `)
	f("certificate: old.pem, certificate_key: old.key", "", `old.pem" has expired at `)
}
