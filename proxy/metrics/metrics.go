package metrics

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"spillway/proxy"
)

// Options are the parts of Metrics.
type Options struct {
	Nginx func() Nginx // the numbers of nginx's stub_status; nil: they are not shown
}

// Nginx are the numbers of nginx's stub_status, which nginx-prometheus-exporter shows.
type Nginx struct {
	Accepted, Handled, Requests       uint64 // since the start: connections, connections, requests
	Active, Reading, Writing, Waiting int64  // connections now
}

// Metrics counts exchanges. Its methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry
	given    givenSet
	nginx    func() Nginx

	upstreams atomic.Pointer[map[string]*upstream] // immutable; replaced under mu

	mu sync.Mutex // held while upstreams or the peers of one are replaced
}

// New returns Metrics with a registry of its own, in which the collectors of the Go runtime and of the process are too.
func New(opts Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), nginx: opts.Nginx}
	m.upstreams.Store(&map[string]*upstream{})
	m.Expect("")
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), (*exchangeCollector)(m), &m.given)
	if opts.Nginx != nil {
		m.registry.MustRegister(nginxCollector(opts.Nginx))
	}
	return m
}

// Handler answers with the text of all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Expect makes the counters of an upstream and of its peers, so that they are shown from the start. Without it they are
// made when an exchange first meets them.
func (m *Metrics) Expect(name string, peers ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.upstreams.Load()
	u := old[name]
	if u == nil {
		if len(old) >= maxSeries {
			return
		}
		u = newUpstream(name)
		next := maps.Clone(old)
		next[name] = u
		m.upstreams.Store(&next)
	}
	for _, address := range peers {
		u.add(address)
	}
}

// Observe counts a finished exchange; it is an observer of proxy.Options.
func (m *Metrics) Observe(ex *proxy.Exchange) {
	u := m.upstream(ex.Upstream)
	u.codes.add(ex.Status())
	u.request.observe(ex.End.Sub(ex.Start))
	u.sentBytes.Add(uint64(max(0, ex.BytesSent)))
	u.requestBytes.Add(uint64(max(0, int64(ex.HeadBytes)+ex.RequestBytes)))
	if ex.Cause != proxy.NoCause {
		u.causes[causeIndex(ex.Cause)].add(ex.Status())
	}
	if ex.Truncated {
		u.truncated.Add(1)
	}
	if panics := ex.Panics(); panics > 0 {
		u.panics.Add(uint64(panics))
	}
	if ex.Spilled > 0 {
		u.spills.Add(1)
		u.spilledBytes.Add(uint64(ex.Spilled))
	}
	if ex.Queued > 0 {
		u.waited.observe(ex.Queued)
	}
	m.observeAttempts(ex, u)
}

// observeAttempts counts the attempts; last are the counters of the exchange's upstream, which nearly all of them were on.
func (m *Metrics) observeAttempts(ex *proxy.Exchange, last *upstream) {
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		if a.Peer == a.Upstream {
			continue // No peer was usable: the cause says so.
		}
		u := last
		if a.Upstream != ex.Upstream {
			u = m.upstream(a.Upstream)
		}
		if i > 0 && a.Hop == ex.Attempts[i-1].Hop {
			u.retries.Add(1)
		}
		if p := m.peer(u, a); p != nil {
			p.codes.add(a.Status)
		}
		if a.Connect >= 0 {
			u.connect.observe(a.Connect)
		}
		if a.Head >= 0 {
			u.head.observe(a.Head)
		}
	}
}

// upstream returns the counters of a name. Beyond maxSeries, which no configuration reaches, it is those without a name.
func (m *Metrics) upstream(name string) *upstream {
	if u := (*m.upstreams.Load())[name]; u != nil {
		return u
	}
	m.Expect(name)
	all := *m.upstreams.Load()
	if u := all[name]; u != nil {
		return u
	}
	return all[""]
}

// peer returns the counters of an attempt's peer, nil beyond maxSeries.
func (m *Metrics) peer(u *upstream, a *proxy.Attempt) *peer {
	if p := u.find(a.Peer, a.Index); p != nil {
		return p
	}
	m.Expect(u.name, a.Peer)
	return u.find(a.Peer, a.Index)
}
