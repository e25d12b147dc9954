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

// Series is a number with its name, which ends in _total when it only goes up.
type Series struct {
	Name, Help string
	Labels     Labels
	Value      float64
}

// Show calls all, without a lock held, whenever somebody looks, for numbers whose labels come and go by themselves: all gives
// show each series once.
func (m *Metrics) Show(all func(show func(Series))) {
	m.given.mu.Lock()
	defer m.given.mu.Unlock()
	m.given.shows = append(m.given.shows, all)
}

// givenSet shows the numbers that others own.
type givenSet struct {
	mu     sync.Mutex        // guards all below
	series map[string]*given // by name and labels
	shows  []func(show func(Series))
}

// given is one series; immutable.
type given struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func() float64
}

func (s *givenSet) add(kind prometheus.ValueType, name, help string, labels Labels, value func() float64) func() {
	desc, id := describe(name, help, labels)
	g := &given{desc: desc, kind: kind, value: value}
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

// describe returns the description of a series and what tells it from all others.
func describe(name, help string, labels Labels) (desc *prometheus.Desc, id string) {
	clean := prometheus.Labels{}
	key := []string{name}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		clean[label] = strings.ToValidUTF8(labels[label], "\ufffd")
		key = append(key, label, clean[label])
	}
	desc = prometheus.NewDesc(name, help, nil, clean)
	if err := desc.Err(); err != nil {
		panic("metrics: " + err.Error())
	}
	return desc, strings.Join(key, "\x00")
}

// Describe sends nothing, as for exchangeCollector.
func (s *givenSet) Describe(chan<- *prometheus.Desc) {}

// Collect asks for all numbers and sends them.
func (s *givenSet) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	all, shows := slices.Collect(maps.Values(s.series)), s.shows
	s.mu.Unlock()
	for _, g := range all {
		out <- prometheus.MustNewConstMetric(g.desc, g.kind, g.value())
	}
	for _, show := range shows {
		show(func(one Series) {
			desc, _ := describe(one.Name, one.Help, one.Labels)
			kind := prometheus.GaugeValue
			if strings.HasSuffix(one.Name, "_total") {
				kind = prometheus.CounterValue
			}
			out <- prometheus.MustNewConstMetric(desc, kind, one.Value)
		})
	}
}
