package configs

import (
	"slices"
	"time"
)

// ServerTLS is how the clients of a server are secured that come by an address with tls; the keys are nginx's ssl_ without the
// prefix. The zero value is off.
type ServerTLS struct {
	Certificate    string   // absolute path of the certificate, with its chain
	CertificateKey string   // absolute path of its key, which may be in the same file
	Protocols      []string // of tlsProtocols; empty is Go's choice, TLS 1.2 and later

	Places Places
}

// Versions is that of TLS.
func (t *ServerTLS) Versions() (lowest, highest uint16) { return tlsVersions(t.Protocols) }

func serverTLSFields() []field[ServerTLS] {
	return []field[ServerTLS]{
		value("certificate", (*reader).path, func(t *ServerTLS) *string { return &t.Certificate }),
		value("certificate_key", (*reader).path, func(t *ServerTLS) *string { return &t.CertificateKey }),
		value("protocols", (*reader).tlsProtocols, func(t *ServerTLS) *[]string { return &t.Protocols }),
	}
}

func (r *reader) serverTLS(n *node) (ServerTLS, bool) {
	if n.kind != mapping {
		r.refuse(n, "want {certificate: site.pem, certificate_key: site.key}, got %s", n.describe())
		return ServerTLS{}, false
	}
	t := ServerTLS{}
	t.Places = section(r, n, &t, serverTLSFields())
	if !t.Places.Has("certificate") {
		r.refuse(n, "certificate is missing")
	}
	if t.CertificateKey == "" {
		t.CertificateKey = t.Certificate
	}
	return t, true
}

// serverTLS looks whether a server has a certificate just if it needs one.
func (k *checker) serverTLS(s *Server) {
	i := slices.IndexFunc(s.Listen, func(l Listen) bool { return l.TLS })
	switch {
	case i >= 0 && !s.Places.Has("tls"):
		k.refuse(s.Places.At("listen"), "%s with tls needs a certificate; write tls: {certificate: site.pem, certificate_key: site.key}",
			s.Listen[i].Address)
	case i < 0 && s.Places.Has("tls") && len(s.Listen) > 0:
		k.refuse(s.Places.At("tls"), `is for an address with tls behind it, such as listen: "443 tls"`)
	}
}

// secured refuses an address that has tls in one server, and not in another: which it is has to be known before a client says whom it
// is for.
func (k *checker) secured(l *Listener) {
	for _, s := range l.Servers {
		for _, at := range s.Listen {
			if at.Address != l.Address || at.TLS == l.TLS {
				continue
			}
			here, there := "without tls", "with it"
			if at.TLS {
				here, there = "with tls", "without it"
			}
			k.refuse(s.Places.At("listen"), "%s is %s here, and %s in line %d; all servers of an address are alike in that",
				l.Address, here, there, l.place.Line)
		}
	}
}

// serverFiles looks at the certificate of a server; CheckExpiry looks at its time.
func (k *checker) serverFiles(s *Server) {
	if t := &s.TLS; t.Certificate != "" {
		k.pair(t.Places, t.Certificate, t.CertificateKey)
	}
}

// expirySoon is how long before its end a certificate is told of. Those of Let's Encrypt are renewed 30 days before theirs.
const expirySoon = 14 * 24 * time.Hour

// CheckExpiry returns a problem for each server whose certificate has expired, or is about to. That keeps nobody from a start: as
// in nginx, clients decide what they think of it, and those of the other servers have nothing to do with it.
func (c *Config) CheckExpiry() Problems {
	k := checker{config: c}
	for _, s := range c.Servers {
		t, at := &s.TLS, s.TLS.Places.At("certificate")
		if t.Certificate == "" {
			continue
		}
		leaf := (&checker{}).pair(t.Places, t.Certificate, t.CertificateKey)
		if leaf == nil {
			continue // CheckHost has said why
		}
		before := len(k.problems)
		k.inTime(at, t.Certificate, leaf)
		if left := time.Until(leaf.NotAfter); len(k.problems) == before && left < expirySoon {
			k.refuse(at, "%s expires at %s, in %d days", quote(t.Certificate), leaf.NotAfter.Format(time.DateTime), left/(24*time.Hour))
		}
	}
	return k.problems.sorted()
}
