package app

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"spillway/configs"
)

// TestAsk_TLS: a process that is asked over TLS is so before it is ready, too.
func TestAsk_TLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	u := configs.DefaultUpstream("app")
	if newAsk(&u, "1") != nil {
		t.Error("without TLS the supervisor is to ask")
	}
	u.TLS = configs.DefaultTLS()
	u.TLS.TrustedCertificate = ca
	address, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP")
	}
	for path, want := range map[string]int{"/ready": http.StatusOK, "/none": http.StatusNotFound} {
		if got, err := newAsk(&u, "1")(t.Context(), address.Port, path); got != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", path, got, err, want)
		}
	}
}

// TestPlan_ProcessesAreAskedAsTheUpstreamIsNow: their supervisor has to hear of another TLS.
func TestPlan_ProcessesAreAskedAsTheUpstreamIsNow(t *testing.T) {
	of := func(u *configs.Upstream) *generation {
		return &generation{config: &configs.Config{Upstreams: []*configs.Upstream{u}}}
	}
	before := configs.Upstream{Name: "app", Protocol: configs.HTTP, Backend: &configs.Backend{}}
	after := before
	after.TLS = configs.DefaultTLS()
	if p := (&plan{prev: of(&before), next: of(&before)}); !p.sameProcesses(&before) {
		t.Error("got other processes of the same upstream")
	}
	if p := (&plan{prev: of(&before), next: of(&after)}); p.sameProcesses(&after) {
		t.Error("got the same processes with TLS")
	}
}
