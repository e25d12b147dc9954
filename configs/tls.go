package configs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"
)

// TLS is how connections to the peers of an upstream are secured; the keys are nginx's proxy_ssl_ without the prefix. The zero
// value is off.
type TLS struct {
	On                 bool
	Verify             bool     // the peer's certificate has to be right; nginx's default is off
	ServerName         string   // in the certificate and SNI; empty is the peer's host name or address
	TrustedCertificate string   // absolute path of the authorities' certificates; empty is those of the system
	Certificate        string   // absolute path of the certificate, with its chain, that the peer is shown; empty is none
	CertificateKey     string   // absolute path of its key
	Protocols          []string // of tlsProtocols; empty is Go's choice, TLS 1.2 and later
	SessionReuse       bool     // later connections resume the session of an earlier one

	Places Places
}

// tlsProtocols are nginx's words for the versions.
var tlsProtocols = []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

// DefaultTLS returns what "tls: on" means.
func DefaultTLS() TLS {
	// nginx verifies nothing unless it is told to; a connection that anybody may answer needs no TLS.
	return TLS{On: true, Verify: true, SessionReuse: true}
}

// Versions returns the lowest and the highest version as crypto/tls has them, 0 for Go's choice.
func (t *TLS) Versions() (lowest, highest uint16) { return tlsVersions(t.Protocols) }

func tlsVersions(protocols []string) (lowest, highest uint16) {
	for i, protocol := range tlsProtocols {
		for _, p := range protocols {
			if p != protocol {
				continue
			}
			if highest = tls.VersionTLS10 + uint16(i); lowest == 0 {
				lowest = highest
			}
		}
	}
	return lowest, highest
}

func tlsFields() []field[TLS] {
	return []field[TLS]{
		value("verify", (*reader).flag, func(t *TLS) *bool { return &t.Verify }),
		value("server_name", (*reader).text, func(t *TLS) *string { return &t.ServerName }),
		value("trusted_certificate", (*reader).optionalPath, func(t *TLS) *string { return &t.TrustedCertificate }),
		value("certificate", (*reader).optionalPath, func(t *TLS) *string { return &t.Certificate }),
		value("certificate_key", (*reader).optionalPath, func(t *TLS) *string { return &t.CertificateKey }),
		value("protocols", (*reader).tlsProtocols, func(t *TLS) *[]string { return &t.Protocols }),
		value("session_reuse", (*reader).flag, func(t *TLS) *bool { return &t.SessionReuse }),
	}
}

// tls reads on, off or a section.
func (r *reader) tls(n *node) (TLS, bool) {
	if n.kind == scalar {
		on, ok := r.flag(n)
		if !on {
			return TLS{}, ok
		}
		return DefaultTLS(), ok
	}
	if n.kind != mapping {
		r.refuse(n, "want on, off or {verify: on, trusted_certificate: ca.pem}, got %s", n.describe())
		return TLS{}, false
	}
	t := DefaultTLS()
	t.Places = section(r, n, &t, tlsFields())
	return t, true
}

// tlsProtocols reads versions that follow each other.
func (r *reader) tlsProtocols(n *node) ([]string, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	first, last, chosen := len(tlsProtocols), -1, map[string]bool{}
	for _, text := range texts {
		known := false
		for i, protocol := range tlsProtocols {
			if protocol == text {
				first, last, known = min(first, i), max(last, i), true
				chosen[text] = true
			}
		}
		if !known {
			r.refuse(n, "unknown %s; want TLSv1.2 TLSv1.3", quote(text))
			return nil, false
		}
	}
	if len(chosen) != max(last-first+1, 0) {
		r.refuse(n, "leaves a version out between %s and %s", tlsProtocols[first], tlsProtocols[last])
		return nil, false
	}
	return texts, true
}

// tls checks what makes no sense together.
func (k *checker) tls(u *Upstream) {
	t := &u.TLS
	if !t.On {
		return
	}
	if u.Protocol != HTTP {
		k.refuse(u.Places.At("tls"), "is for protocol: http, not for %s", u.Protocol)
	}
	switch {
	case t.Certificate != "" && t.CertificateKey == "":
		k.refuse(t.Places.At("certificate"), "certificate_key is missing")
	case t.Certificate == "" && t.CertificateKey != "":
		k.refuse(t.Places.At("certificate_key"), "certificate is missing")
	}
	if !t.Verify && t.TrustedCertificate != "" {
		k.refuse(t.Places.At("trusted_certificate"), "is for nothing with verify: off")
	}
}

// tlsFiles looks at the certificates that an upstream needs.
func (k *checker) tlsFiles(u *Upstream) {
	t := &u.TLS
	if t.TrustedCertificate != "" {
		k.authorities(t)
	}
	if t.Certificate == "" || t.CertificateKey == "" {
		return
	}
	if leaf := k.pair(t.Places, t.Certificate, t.CertificateKey); leaf != nil {
		k.inTime(t.Places.At("certificate"), t.Certificate, leaf)
	}
}

// pair looks at the files of a certificate and its key; nil: they are a problem.
func (k *checker) pair(places Places, certificate, key string) *x509.Certificate {
	for _, file := range []struct{ key, path string }{{"certificate", certificate}, {"certificate_key", key}} {
		if data, err := os.ReadFile(file.path); err != nil {
			k.refuse(places.At(file.key, "certificate"), "%v", err)
			return nil
		} else if block, _ := pem.Decode(data); block == nil {
			k.refuse(places.At(file.key, "certificate"), "%s is not PEM, the text form of certificates and keys", quote(file.path))
			return nil
		}
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	switch {
	case err != nil && certificate == key:
		k.refuse(places.At("certificate"), "%s has no certificate with its key: %v; write certificate_key", quote(certificate), err)
	case err != nil:
		k.refuse(places.At("certificate"), "%s and its key %s: %v", quote(certificate), quote(key), err)
	default:
		return pair.Leaf
	}
	return nil
}

func (k *checker) authorities(t *TLS) {
	at, found := t.Places.At("trusted_certificate"), 0
	rest, err := os.ReadFile(t.TrustedCertificate)
	if err != nil {
		k.refuse(at, "%v", err)
		return
	}
	for ; ; found++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			k.refuse(at, "%s: %v", quote(t.TrustedCertificate), err)
			return
		}
		k.inTime(at, t.TrustedCertificate, authority)
	}
	if found == 0 {
		k.refuse(at, "%s is not PEM, the text form of certificates and keys", quote(t.TrustedCertificate))
	}
}

func (k *checker) inTime(at Place, file string, c *x509.Certificate) {
	switch now := time.Now(); {
	case now.After(c.NotAfter):
		k.refuse(at, "%s has expired at %s", quote(file), c.NotAfter.Format(time.DateTime))
	case now.Before(c.NotBefore):
		k.refuse(at, "%s is not valid before %s", quote(file), c.NotBefore.Format(time.DateTime))
	}
}
