package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"spillway/configs"
	"spillway/proxy/metrics"
	"spillway/upstream"
	"spillway/upstream/health"
	"spillway/upstream/supervisor"
)

// startChecker starts the probes of a group's peers, if its upstream has any.
func (a *App) startChecker(g *group) error {
	h := g.config.Health
	if h == nil {
		return nil
	}
	probe, name := health.TCP, "a TCP connection"
	if h.Probe == configs.ProbeRequest {
		request, err := newRequest(g.config, h.Path, a.opts.Version)
		if err != nil {
			return err
		}
		request.Host = h.Host
		probe, name = health.NewProbe(request, newMatch(&h.Match)), "GET "+h.Path
	}
	opts := health.Options{
		Group: g.peers, Probe: probe, Name: name, Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout),
		Fails: h.Fails, Passes: h.Passes, Log: a.log,
	}
	if b := g.backend; b != nil && h.Restart {
		opts.OnUnhealthy = func(p *upstream.Peer) { b.supervised.Recycle(g.ports[p.Index()], supervisor.ReasonUnhealthy) }
	}
	g.checker = health.Start(opts)
	return nil
}

// newRequest is what spillway asks the peers of an upstream by itself.
func newRequest(u *configs.Upstream, path, version string) (health.Request, error) {
	request := health.Request{Path: path}
	if u.Protocol == configs.HTTP {
		return request, nil
	}
	closing := *u
	closing.Keepalive = 0 // its connections are not used again
	var err error
	request.Protocol, err = newProtocol(&closing, u.Script, version)
	for _, f := range u.Script.Params {
		if !strings.Contains(string(f.Value), "$") { // there is no client whose request could have variables
			request.Params = append(request.Params, upstream.Field{Name: []byte(f.Name), Value: []byte(f.Value)})
		}
	}
	return request, err
}

// newAsk returns what asks a process for a path before it is ready, in the protocol of its upstream; nil for HTTP without TLS,
// which its supervisor speaks.
func newAsk(u *configs.Upstream, version string) func(ctx context.Context, port int, path string) (int, error) {
	if u.Protocol == configs.HTTP && !u.TLS.On {
		return nil
	}
	return func(ctx context.Context, port int, path string) (int, error) {
		request, err := newRequest(u, path, version)
		if err != nil {
			return 0, err
		}
		secured, err := newTLS(&u.TLS)
		if err != nil {
			return 0, err
		}
		protocol, err := newProtocol(u, u.Script, version)
		if err != nil {
			return 0, err
		}
		alone, err := upstream.NewGroup(upstream.GroupOptions{
			Name: u.Name, Protocol: protocol, TLS: secured, Peers: []upstream.PeerOptions{{Address: fmt.Sprintf("127.0.0.1:%d", port)}},
		})
		if err != nil {
			return 0, err
		}
		defer alone.Close()
		answer, err := request.Ask(ctx, alone.Peers()[0])
		if err != nil {
			return 0, err
		}
		return answer.Status, nil
	}
}

func newMatch(m *configs.Match) health.Match {
	match := health.Match{Body: m.Body}
	for _, s := range m.Status {
		match.Status = append(match.Status, health.Range(s))
	}
	for _, f := range m.Header {
		match.Header = append(match.Header, health.Field(f))
	}
	return match
}

// HealthStatus is what probes have said of a peer.
type HealthStatus struct {
	At      *time.Time `json:"at,omitempty"` // when the last probe began that was not skipped; missing: there was none
	Seconds float64    `json:"seconds"`      // how long it took
	Error   string     `json:"error"`        // why it failed; empty: it did not
	Passed  uint64     `json:"passed"`       // probes, as the others since the configuration of the upstream was loaded
	Failed  uint64     `json:"failed"`
	Skipped uint64     `json:"skipped"` // because the peer was busy, mostly
}

// healthStatus returns nil for peers that are not probed.
func (g *group) healthStatus(p *upstream.Peer) *HealthStatus {
	if g.checker == nil {
		return nil
	}
	s := g.checker.Of(p)
	status := &HealthStatus{
		Seconds: s.Took.Seconds(),
		Passed:  s.Total[health.Passed], Failed: s.Total[health.Failed], Skipped: s.Total[health.Skipped],
	}
	if !s.At.IsZero() {
		status.At = &s.At
	}
	if s.Err != nil {
		status.Error = s.Err.Error()
	}
	return status
}

// showHealth shows the numbers of the probes of all peers that there are at the moment.
func (a *App) showHealth(show func(metrics.Series)) {
	for _, g := range a.generation().groups {
		if g.checker == nil {
			continue
		}
		seen := map[string]bool{} // an upstream may have an address twice
		for _, p := range g.peers.Peers() {
			if !seen[p.Address()] {
				seen[p.Address()] = true
				g.showProbes(p, show)
			}
		}
	}
}

func (g *group) showProbes(p *upstream.Peer, show func(metrics.Series)) {
	labels := func() metrics.Labels { return metrics.Labels{"upstream": g.config.Name, "peer": p.Address()} }
	s := g.checker.Of(p)
	show(metrics.Series{
		Name: "spillway_peer_healthy", Help: "1 when the probes of a peer succeed, or it was not probed yet.", Labels: labels(),
		Value: float64(1 - p.Health()),
	})
	show(metrics.Series{
		Name: "spillway_health_probe_seconds", Help: "How long the last probe of a peer took.", Labels: labels(),
		Value: s.Took.Seconds(),
	})
	for _, outcome := range health.Outcomes() {
		of := labels()
		of["outcome"] = outcome.String()
		show(metrics.Series{
			Name: "spillway_health_probes_total", Help: "Probes of a peer by their outcome.", Labels: of,
			Value: float64(s.Total[outcome]),
		})
	}
}
