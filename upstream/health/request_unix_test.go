//go:build unix

package health_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"spillway/upstream/health"
)

func TestProbe_UnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	peer := peerAt(t, "unix:"+path)
	for name, p := range map[string]health.Probe{"tcp": health.TCP, "http": health.NewProbe(health.Request{Path: "/"}, health.Match{})} {
		if err := probe(t, patience, p, peer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
