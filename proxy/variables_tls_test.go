package proxy_test

import (
	"crypto/tls"
	"testing"

	"spillway/proxy"
)

func TestVariables_TLS(t *testing.T) {
	template, err := proxy.CompileTemplate("$ssl_protocol $ssl_cipher $ssl_server_name $ssl_session_reused")
	if err != nil {
		t.Fatal(err)
	}
	f := func(state *tls.ConnectionState, want string) {
		t.Helper()
		if got := string(template.Append(nil, &proxy.Exchange{TLS: state})); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(nil, "   ")
	f(&tls.ConnectionState{Version: tls.VersionTLS10, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, ServerName: "a.test"},
		"TLSv1 ECDHE-RSA-AES128-SHA a.test .")
	f(&tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "a.test", DidResume: true},
		"TLSv1.3 TLS_AES_128_GCM_SHA256 a.test r")
	names := map[uint16]string{ // what OpenSSL calls all those that Go's servers take of TLS 1.2 and before
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            "ECDHE-RSA-AES128-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
	}
	for _, suite := range tls.CipherSuites() {
		if suite.SupportedVersions[0] < tls.VersionTLS13 {
			f(&tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: suite.ID}, "TLSv1.2 "+names[suite.ID]+"  .")
		}
	}
}
