package relay

import (
	"sync"
	"testing"

	"spillway/upstream"
	"spillway/upstream/http1"
)

// TestSceneOf_PeersThatComeAndGo: a scene is one look at a group, however much it changes meanwhile.
func TestSceneOf_PeersThatComeAndGo(t *testing.T) {
	g, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: http1.New(http1.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	changed, changer := make(chan struct{}), sync.WaitGroup{}
	changer.Go(func() { // ends by itself
		defer close(changed)
		for range 20000 {
			p, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1:80"})
			if err != nil {
				t.Error(err)
				return
			}
			g.Remove(p)
		}
	})
	defer changer.Wait()
	for {
		select {
		case <-changed:
			return
		default:
		}
		for _, p := range sceneOf(g).Peers {
			if p.Address == "" {
				t.Error("got a peer that is none")
				return
			}
		}
	}
}
