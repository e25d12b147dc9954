package why_test

import (
	"errors"
	"fmt"
	"testing"

	"spillway/proxy"
	"spillway/proxy/why"
)

// BenchmarkStore_Observe is what each failure of a storm costs when the store is full.
func BenchmarkStore_Observe(b *testing.B) {
	s := why.New(why.Limits{Keep: 1000, Bytes: 4 << 20})
	ex := newFronts(b).incident("/shop?x=1", proxy.Attempt{Peer: "127.0.0.1:9003", Status: 503, Err: errors.New("queue is full")})
	ex.Scene = &proxy.Scene{Peers: make([]proxy.ScenePeer, 8)}
	for i := range 1000 {
		s.Serves(uint64(i+10), why.Process{Upstream: "app", Port: i, PID: i, Output: []string{fmt.Sprint(i)}}, nil)
		s.Observe(ex)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(ex)
	}
}
