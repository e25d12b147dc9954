package metrics

import (
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// exchangeCollector shows what Observe has counted.
type exchangeCollector Metrics

// Describe sends nothing: which series there are is not known before Collect.
func (*exchangeCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all counters of all upstreams.
func (c *exchangeCollector) Collect(out chan<- prometheus.Metric) {
	for _, u := range *c.upstreams.Load() {
		u.collect(out)
	}
}

func (u *upstream) collect(out chan<- prometheus.Metric) {
	u.request.collect(out)
	u.codes.collect(out, "spillway_requests_total", "Finished requests by the status of the response.",
		[]string{"upstream"}, u.name)
	u.count(out, "spillway_truncated_responses_total", "Responses cut after their head had been sent.", &u.truncated)
	u.count(out, "spillway_panics_total", "Panics that cost an exchange, each a bug of spillway.", &u.panics)
	u.count(out, "spillway_sent_bytes_total", "Bytes sent to clients.", &u.sentBytes)
	u.count(out, "spillway_request_bytes_total", "Bytes of requests read from clients.", &u.requestBytes)
	for i := range causes {
		u.causes[i].collect(out, "spillway_responses_total", "Responses that spillway made itself, and clients lost, by cause.",
			[]string{"upstream", "cause"}, u.name, string(causes[i]))
	}
	if u.name == "" {
		return
	}
	u.head.collect(out)
	u.connect.collect(out)
	u.waited.collect(out)
	u.count(out, "spillway_retries_total", "Second and later attempts.", &u.retries)
	u.count(out, "spillway_spills_total", "Responses that went through a spill file.", &u.spills)
	u.count(out, "spillway_spilled_bytes_total", "Bytes of responses that went through a spill file.", &u.spilledBytes)
	for _, p := range *u.peers.Load() {
		p.codes.collect(out, "spillway_attempts_total", "Attempts by the status of the peer's response; 502 and 504 when it failed.",
			[]string{"upstream", "peer"}, u.name, p.address)
	}
}

func (u *upstream) count(out chan<- prometheus.Metric, name, help string, n *atomic.Uint64) {
	send(out, prometheus.CounterValue, name, help, float64(n.Load()), []string{"upstream"}, u.name)
}

// collect sends a series for each status that was counted, with the label code after the others.
func (c *codes) collect(out chan<- prometheus.Metric, name, help string, labels []string, values ...string) {
	desc := prometheus.NewDesc(name, help, append(labels, "code"), nil)
	for status := range c {
		if n := c[status].Load(); n > 0 {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n),
				append(slices.Clip(values), strconv.Itoa(status))...)
		}
	}
}

func send(
	out chan<- prometheus.Metric, kind prometheus.ValueType, name, help string, value float64, labels []string,
	values ...string,
) {
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, labels, nil), kind, value, values...)
}

// nginxCollector shows the numbers of nginx-prometheus-exporter, with its names and help texts.
type nginxCollector func() Nginx

// Describe sends nothing, as for exchangeCollector.
func (nginxCollector) Describe(chan<- *prometheus.Desc) {}

// Collect asks for the numbers and sends them.
func (c nginxCollector) Collect(out chan<- prometheus.Metric) {
	n := c()
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	send(out, gauge, "nginx_up", "Status of the last metric scrape", 1, nil)
	send(out, counter, "nginx_connections_accepted", "Accepted client connections", float64(n.Accepted), nil)
	send(out, gauge, "nginx_connections_active", "Active client connections", float64(n.Active), nil)
	send(out, counter, "nginx_connections_handled", "Handled client connections", float64(n.Handled), nil)
	send(out, gauge, "nginx_connections_reading", "Connections where NGINX is reading the request header",
		float64(n.Reading), nil)
	send(out, gauge, "nginx_connections_waiting", "Idle client connections", float64(n.Waiting), nil)
	send(out, gauge, "nginx_connections_writing", "Connections where NGINX is writing the response back to the client",
		float64(n.Writing), nil)
	send(out, counter, "nginx_http_requests_total", "Total http requests", float64(n.Requests), nil)
}
