package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"time"

	"spillway/upstream/socket"
)

// secure makes a TLS connection of one that was just made. The handshake has what connect_timeout leaves, as in nginx.
func (p *Peer) secure(nc net.Conn, deadline time.Time) (net.Conn, error) {
	var secured *tls.Conn
	layer := socket.NewLayer(nc, func(conn net.Conn) net.Conn {
		secured = tls.Client(conn, p.tls)
		return secured
	})
	_ = layer.SetDeadline(deadline)
	if err := secured.HandshakeContext(context.Background()); err != nil {
		_ = nc.Close()
		return nil, handshakeError(err)
	}
	_ = layer.SetDeadline(time.Time{})
	return layer, nil
}

// TLS returns what connections to the peer are made with, for those who make their own; it is not to be changed. Nil: without TLS.
func (p *Peer) TLS() *tls.Config { return p.tls }

// tlsFor is the group's configuration for the peer; nil without TLS.
func (p *Peer) tlsFor(config *tls.Config) *tls.Config {
	if config == nil || config.ServerName != "" {
		return config
	}
	config = config.Clone()
	config.ServerName = p.serverName()
	return config
}

// serverName is the name that the certificate has to have when the configuration does not say one.
func (p *Peer) serverName() string {
	if p.name != "" {
		return p.name
	}
	host, _, err := net.SplitHostPort(p.address)
	if err != nil {
		return p.group.name // a unix socket
	}
	return host
}

// handshakeError says why there is no TLS connection, in nginx's words as far as it has them. Nothing of the request was sent,
// and the peer may be in the best of health: no reason to suspect its process.
func handshakeError(err error) *Error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Error{Phase: Handshaking, Kind: TimedOut, Text: "upstream timed out", Err: errTimedOut}
	}
	text := "SSL_do_handshake() failed"
	if verify := (*tls.CertificateVerificationError)(nil); errors.As(err, &verify) {
		text, err = "upstream SSL certificate verify error", reasonOf(verify.Err)
	}
	return &Error{Phase: Handshaking, Kind: Refused, Text: text, Err: err}
}

// reasonOf is a certificate's fault in few words.
func reasonOf(err error) error {
	invalid := x509.CertificateInvalidError{}
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return errors.New("certificate has expired or is not yet valid, it is of " +
			invalid.Cert.NotBefore.Format(time.RFC3339) + " to " + invalid.Cert.NotAfter.Format(time.RFC3339))
	}
	return err
}
