package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"spillway/configs"
)

// newTLS returns what connections to the peers of an upstream are made with; nil: without TLS.
func newTLS(t *configs.TLS) (*tls.Config, error) {
	if !t.On {
		return nil, nil //nolint:nilnil // upstream.GroupOptions has it so
	}
	made := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: !t.Verify} //nolint:gosec // the operator has written verify: off
	made.MinVersion, made.MaxVersion = t.Versions()
	if t.SessionReuse {
		made.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if t.TrustedCertificate != "" {
		data, err := os.ReadFile(t.TrustedCertificate)
		if err != nil {
			return nil, err
		}
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s has no certificate", t.TrustedCertificate)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.CertificateKey)
		if err != nil {
			return nil, err
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made, nil
}

// scheme is how the peers of an upstream are shown in the error log.
func scheme(u *configs.Upstream) string {
	if u.TLS.On {
		return "https"
	}
	return string(u.Protocol)
}
