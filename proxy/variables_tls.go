package proxy

import (
	"crypto/tls"
	"strings"
)

// The variables of a client's TLS, in OpenSSL's words as nginx has them. Without TLS they have no value.

// secured is a variable of the client's TLS.
func secured(value func(*tls.ConnectionState) string) variable {
	return text(func(ex *Exchange) string {
		if ex.TLS == nil {
			return ""
		}
		return value(ex.TLS)
	})
}

// sslProtocol is TLSv1.3 where Go says TLS 1.3; OpenSSL has no zero in TLSv1.
func sslProtocol(state *tls.ConnectionState) string {
	return strings.TrimSuffix("TLSv"+strings.TrimPrefix(tls.VersionName(state.Version), "TLS "), ".0")
}

// sslCipher is ECDHE-RSA-AES128-GCM-SHA256 where Go says TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256. Those of TLS 1.3 are alike.
func sslCipher(state *tls.ConnectionState) string {
	name := tls.CipherSuiteName(state.CipherSuite)
	if state.Version >= tls.VersionTLS13 {
		return name
	}
	return opensslName.Replace(strings.TrimPrefix(name, "TLS_"))
}

// opensslName is constant. OpenSSL does not name the mode CBC, nor ChaCha's hash.
var opensslName = strings.NewReplacer(
	"_CBC_SHA", "-SHA", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "_WITH_", "-", "AES_", "AES", "_", "-",
)

func sslSessionReused(state *tls.ConnectionState) string {
	if state.DidResume {
		return "r"
	}
	return "."
}
