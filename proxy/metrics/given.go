package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Labels are the labels of one series; keys and values come from the code and the configuration.
type Labels map[string]string

// Gauge shows a number that goes up and down; value is called, without a lock held, whenever somebody looks, and must not
// block. A series of the same name and labels is replaced. remove ends
// the series, unless it was replaced meanwhile. A bad name is a bug and panics.
func (m *Metrics) Gauge(name, help string, labels Labels, value func() float64) (remove func()) {
	return m.given.add(prometheus.GaugeValue, name, help, labels, value)
}

// Counter is Gauge for a number that only goes up; its name ends in _total.
func (m *Metrics) Counter(name, help string, labels Labels, value func() float64) (remove func()) {
	return m.given.add(prometheus.CounterValue, name, help, labels, value)
}

// givenSet shows the numbers that others own.
type givenSet struct {
	mu     sync.Mutex        // guards all below
	series map[string]*given // by name and labels
}

// given is one series; immutable.
type given struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func() float64
}

func (s *givenSet) add(kind prometheus.ValueType, name, help string, labels Labels, value func() float64) func() {
	clean := prometheus.Labels{}
	key := []string{name}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		clean[label] = strings.ToValidUTF8(labels[label], "\ufffd")
		key = append(key, label, clean[label])
	}
	g := &given{desc: prometheus.NewDesc(name, help, nil, clean), kind: kind, value: value}
	if err := g.desc.Err(); err != nil {
		panic("metrics: " + err.Error())
	}
	id := strings.Join(key, "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.series == nil {
		s.series = map[string]*given{}
	}
	s.series[id] = g
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.series[id] == g {
			delete(s.series, id)
		}
	}
}

// Describe sends nothing, as for exchangeCollector.
func (s *givenSet) Describe(chan<- *prometheus.Desc) {}

// Collect asks for all numbers and sends them.
func (s *givenSet) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.series))
	s.mu.Unlock()
	for _, g := range all {
		out <- prometheus.MustNewConstMetric(g.desc, g.kind, g.value())
	}
}
