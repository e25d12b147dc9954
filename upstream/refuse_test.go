package upstream_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"spillway/upstream"
)

func TestPeer_Refuses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g, err := upstream.NewGroup(upstream.GroupOptions{Protocol: mute{}, Peers: []upstream.PeerOptions{
		{Address: listener.Addr().String()}, {Address: "unix:" + filepath.Join(t.TempDir(), "none")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if g.Peers()[0].Refuses(time.Minute) {
		t.Error("got a refusal of a peer that listens")
	}
	listener.Close()
	for _, p := range g.Peers() {
		if !p.Refuses(time.Minute) {
			t.Errorf("%s: got no refusal where nobody listens", p.Address())
		}
	}
}
