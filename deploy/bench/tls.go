package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// hostName is that of the proxies, for their clients.
const hostName = "localhost"

// writeCertificate writes a file with a new key and a certificate for it, by which a proxy is known to be hostName for a day.
func writeCertificate(folder string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{hostName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	name := filepath.Join(folder, "certificate.pem")
	return name, os.WriteFile(name, text, 0o600)
}

// clientTLS is for clients of proxies with that certificate. All proxies are given the same: TLS 1.3 with a cipher that the
// templates say, one key exchange that all of them know, HTTP/1.1, no sessions to resume.
func clientTLS(certificate string) (*tls.Config, error) {
	text, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate", certificate)
	}
	return &tls.Config{
		ServerName: hostName, RootCAs: roots, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
	}, nil
}
