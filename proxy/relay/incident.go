package relay

import (
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// incident makes the exchange an incident, and notes what its group is like at the first failure. It comes before the line of
// the error log, which has the id then.
func (r *run) incident() {
	r.ex.Incident()
	if r.ex.Scene == nil && r.ex.Why() != "" {
		r.ex.Scene = sceneOf(r.h.opts.Group)
		if names := r.h.opts.Unresolved; names != nil {
			r.ex.Scene.Unresolved = names()
		}
	}
}

// failed is incident for an attempt, with why it failed.
func (r *run) failed(failure *upstream.Error) {
	record := r.lastAttempt()
	record.Phase, record.Err = failure.Phase.String(), failure
	r.incident()
}

// sceneOf copies what can be seen of the group.
func sceneOf(g *upstream.Group) *proxy.Scene {
	now, queue, peers := time.Now(), g.Queue(), g.Peers()
	scene := &proxy.Scene{Waiting: queue.Waiting, Queue: queue.Length, Peers: make([]proxy.ScenePeer, len(peers))}
	for i, p := range peers {
		scene.Peers[i] = proxy.ScenePeer{Address: p.Address(), State: p.Standing(now), Inflight: p.Inflight()}
		if p.Spare() {
			scene.Peers[i].State = "spare"
		}
	}
	return scene
}
