package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The bounds of histograms reach from an answer out of memory to nginx's timeout of 60 s, and those of connects from loopback to the
// 2 s that Windows takes to report a refused connection.
var (
	longBounds = []time.Duration{
		1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
		50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, 1 * time.Second,
		2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second,
	}
	shortBounds = []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, 1 * time.Millisecond, 2500 * time.Microsecond,
		5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond, 1 * time.Second,
		2500 * time.Millisecond,
	}
)

// maxBounds is how many bounds a histogram has at most.
const maxBounds = 15

// histogram counts lengths of time. The sum and the counts lie side by side, so that an observation writes one or two lines of a
// processor's cache; a prometheus.Histogram writes three, and costs four times as much (BenchmarkMetrics_Observe).
type histogram struct {
	desc   *prometheus.Desc // set by newHistogram, read only, as the next line
	bounds []time.Duration

	sum    atomic.Int64                 // ns
	counts [maxBounds + 1]atomic.Uint64 // by the first bound that is not exceeded; the last is for what exceeds all
}

func newHistogram(metric, help, upstream string, bounds []time.Duration) histogram {
	return histogram{
		desc:   prometheus.NewDesc(metric, help, nil, prometheus.Labels{"upstream": upstream}),
		bounds: bounds,
	}
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// collect sends the histogram, whose counts are cumulative for Prometheus.
func (h *histogram) collect(out chan<- prometheus.Metric) {
	buckets, count := make(map[float64]uint64, len(h.bounds)), uint64(0)
	for i, bound := range h.bounds {
		count += h.counts[i].Load()
		buckets[bound.Seconds()] = count
	}
	count += h.counts[len(h.bounds)].Load()
	out <- prometheus.MustNewConstHistogram(h.desc, count, time.Duration(h.sum.Load()).Seconds(), buckets)
}
