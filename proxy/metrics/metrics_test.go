package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/metrics"
)

func TestMetrics_CountsExchanges(t *testing.T) {
	m := metrics.New(metrics.Options{})
	m.Expect("app", "127.0.0.1:9001", "127.0.0.1:9002")
	for range 3 {
		m.Observe(relayed())
	}
	m.Observe(&proxy.Exchange{Response: response(404), BytesSent: 10, HeadBytes: 5})

	noPeers := relayed()
	noPeers.Response, noPeers.Cause = response(502), proxy.CauseNoPeers
	noPeers.Attempts = []proxy.Attempt{{Upstream: "app", Peer: "app", Status: 502, Connect: -1, Head: -1, Response: -1}}
	noPeers.Spilled, noPeers.Truncated = 0, true
	m.Observe(noPeers)

	got := scrape(t, m)
	f := func(series string, want float64) {
		t.Helper()
		if value, found := got[series]; !found || value != want {
			t.Errorf("%s: got %v, %v, want %v", series, value, found, want)
		}
	}
	f(`spillway_requests_total{code="200",upstream="app"}`, 3)
	f(`spillway_requests_total{code="502",upstream="app"}`, 1)
	f(`spillway_requests_total{code="404",upstream=""}`, 1)
	f(`spillway_responses_total{cause="no_live_upstreams",code="502",upstream="app"}`, 1)
	f(`spillway_attempts_total{code="502",peer="127.0.0.1:9001",upstream="app"}`, 3)
	f(`spillway_attempts_total{code="200",peer="127.0.0.1:9002",upstream="app"}`, 3)
	f(`spillway_retries_total{upstream="app"}`, 3)
	f(`spillway_spills_total{upstream="app"}`, 3)
	f(`spillway_spilled_bytes_total{upstream="app"}`, 3000)
	f(`spillway_truncated_responses_total{upstream="app"}`, 1)
	f(`spillway_sent_bytes_total{upstream="app"}`, 20000)
	f(`spillway_sent_bytes_total{upstream=""}`, 10)
	f(`spillway_request_bytes_total{upstream="app"}`, 800)
	f(`spillway_request_seconds_count{upstream="app"}`, 4)
	f(`spillway_request_seconds_sum{upstream="app"}`, 8)
	f(`spillway_request_seconds_bucket{upstream="app",le="1"}`, 0)
	f(`spillway_request_seconds_bucket{upstream="app",le="2.5"}`, 4)
	f(`spillway_attempt_connect_seconds_count{upstream="app"}`, 3)
	f(`spillway_attempt_head_seconds_count{upstream="app"}`, 3)
	for series := range got {
		if strings.Contains(series, `peer="app"`) {
			t.Errorf("got %s for an exchange without a peer", series)
		}
	}
	if got["go_goroutines"] <= 0 {
		t.Error("the collector of the Go runtime is missing")
	}
}

func TestMetrics_ExpectShowsZeros(t *testing.T) {
	m := metrics.New(metrics.Options{})
	m.Expect("app")
	if value, found := scrape(t, m)[`spillway_retries_total{upstream="app"}`]; !found || value != 0 {
		t.Errorf("got %v, %v, want 0", value, found)
	}
}

// TestMetrics_WaitsInTheQueue: only requests that had to wait are in the histogram.
func TestMetrics_WaitsInTheQueue(t *testing.T) {
	m := metrics.New(metrics.Options{})
	for _, queued := range []time.Duration{0, 40 * time.Millisecond, 2 * time.Second} {
		ex := relayed()
		ex.Queued = queued
		m.Observe(ex)
	}
	got := scrape(t, m)
	for series, want := range map[string]float64{
		`spillway_queue_wait_seconds_count{upstream="app"}`: 2, `spillway_queue_wait_seconds_sum{upstream="app"}`: 2.04,
	} {
		if got[series] != want {
			t.Errorf("%s: got %v, want %v", series, got[series], want)
		}
	}
}

func TestMetrics_OddExchanges(t *testing.T) {
	m := metrics.New(metrics.Options{})
	ex := relayed()
	ex.Response, ex.Cause, ex.BytesSent = response(1000), "new cause", -1
	ex.Attempts[0].Status = -1
	m.Observe(ex)
	got := scrape(t, m)
	for _, series := range []string{
		`spillway_requests_total{code="0",upstream="app"}`,
		`spillway_responses_total{cause="other",code="0",upstream="app"}`,
		`spillway_attempts_total{code="0",peer="127.0.0.1:9001",upstream="app"}`,
	} {
		if got[series] != 1 {
			t.Errorf("%s: got %v, want 1", series, got[series])
		}
	}
}

func TestMetrics_NamesAreBounded(t *testing.T) {
	m := metrics.New(metrics.Options{})
	for i := range 1100 {
		m.Expect(fmt.Sprintf("upstream %d", i))
		m.Expect("app", fmt.Sprintf("peer %d", i))
	}
	for _, name := range []string{"app", "one too many"} {
		ex := relayed()
		ex.Upstream, ex.Attempts[0].Peer = name, "one too many"
		m.Observe(ex)
	}
	got := scrape(t, m)
	if n := got[`spillway_requests_total{code="200",upstream=""}`]; n != 1 {
		t.Errorf("got %v requests without a name, want 1", n)
	}
	for series := range got {
		if strings.Contains(series, "one too many") {
			t.Errorf("got %s", series)
		}
	}
}

func TestMetrics_GivenNumbers(t *testing.T) {
	m := metrics.New(metrics.Options{})
	number := func(n float64) func() float64 { return func() float64 { return n } }
	labels := metrics.Labels{"upstream": "app\xff"}
	const series = "spillway_idle_connections{upstream=\"app\ufffd\"}"

	first := m.Gauge("spillway_idle_connections", "Idle.", labels, number(1))
	stop := m.Counter("spillway_process_exits_total", "Exits.", metrics.Labels{"backend": "django"}, number(7))
	m.Gauge("spillway_buffer_bytes", "Used.", nil, number(4096))
	got := scrape(t, m)
	if got[series] != 1 || got[`spillway_process_exits_total{backend="django"}`] != 7 || got["spillway_buffer_bytes"] != 4096 {
		t.Errorf("got %v, %v and %v, want 1, 7 and 4096", got[series],
			got[`spillway_process_exits_total{backend="django"}`], got["spillway_buffer_bytes"])
	}

	second := m.Gauge("spillway_idle_connections", "Idle.", labels, number(2))
	first() // The old generation ends after the new one has begun.
	stop()
	got = scrape(t, m)
	if got[series] != 2 {
		t.Errorf("replaced: got %v, want 2", got[series])
	}
	if _, found := got[`spillway_process_exits_total{backend="django"}`]; found {
		t.Error("removed: still there")
	}
	second()
	if _, found := scrape(t, m)[series]; found {
		t.Error("removed after it was replaced: still there")
	}
}

func TestMetrics_ShowsWhatComesAndGoes(t *testing.T) {
	m := metrics.New(metrics.Options{})
	peers := map[string]float64{"a": 1, "b": 2}
	m.Show(func(show func(metrics.Series)) {
		for peer, n := range peers {
			show(metrics.Series{Name: "spillway_probes_total", Help: "Probes.", Labels: metrics.Labels{"peer": peer}, Value: n})
			show(metrics.Series{Name: "spillway_healthy", Help: "Health.", Labels: metrics.Labels{"peer": peer}, Value: 1})
		}
	})
	got := scrape(t, m)
	if got[`spillway_probes_total{peer="b"}`] != 2 || got[`spillway_healthy{peer="a"}`] != 1 {
		t.Errorf("got %v, want the numbers of a and b", got)
	}
	peers = map[string]float64{"c": 3}
	got = scrape(t, m)
	if _, found := got[`spillway_healthy{peer="a"}`]; found || got[`spillway_probes_total{peer="c"}`] != 3 {
		t.Errorf("got %v, want the numbers of c alone", got)
	}
}

func TestMetrics_GaugeRefusesABadName(t *testing.T) {
	defer func() {
		if crash := recover(); crash == nil {
			t.Error("got no panic")
		}
	}()
	metrics.New(metrics.Options{}).Gauge("", "", nil, func() float64 { return 0 })
}

func TestMetrics_NginxNames(t *testing.T) {
	m := metrics.New(metrics.Options{Nginx: func() metrics.Nginx {
		return metrics.Nginx{Accepted: 1, Handled: 2, Requests: 3, Active: 4, Reading: 5, Writing: 6, Waiting: 7}
	}})
	got := scrape(t, m)
	for i, series := range []string{
		"nginx_up", "nginx_connections_accepted", "nginx_connections_handled", "nginx_http_requests_total",
		"nginx_connections_active", "nginx_connections_reading", "nginx_connections_writing", "nginx_connections_waiting",
	} {
		if want := float64(max(1, i)); got[series] != want {
			t.Errorf("%s: got %v, want %v", series, got[series], want)
		}
	}
}

// Peers and upstreams may appear while exchanges are counted and somebody looks.
func TestMetrics_ManyGoroutines(t *testing.T) {
	m := metrics.New(metrics.Options{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 250 {
				ex := relayed()
				ex.Attempts[0].Peer = fmt.Sprintf("127.0.0.1:%d", 9000+(i+j)%20)
				m.Observe(ex)
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			scrape(t, m)
		}
	})
	wg.Wait()
	sum := 0.0
	for series, value := range scrape(t, m) {
		if strings.HasPrefix(series, `spillway_attempts_total{code="502"`) {
			sum += value
		}
	}
	if sum != 1000 {
		t.Errorf("got %v failed attempts, want 1000", sum)
	}
}

func TestMetrics_ObserveDoesNotAllocate(t *testing.T) {
	m := metrics.New(metrics.Options{})
	ex := relayed()
	ex.Cause = proxy.CauseTimeout
	if got := testing.AllocsPerRun(200, func() { m.Observe(ex) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkMetrics_Observe(b *testing.B) {
	m := metrics.New(metrics.Options{})
	ex := relayed()
	for b.Loop() {
		m.Observe(ex)
	}
}

// relayed is an exchange of 2 s that succeeded on its second peer and was spilled.
func relayed() *proxy.Exchange {
	start := time.Unix(1763634671, 0)
	return &proxy.Exchange{
		Response: response(200), Start: start, End: start.Add(2 * time.Second), HeadBytes: 150, RequestBytes: 50,
		BytesSent: 5000, BodyBytesSent: 4800, Upstream: "app", Spilled: 1000,
		Attempts: []proxy.Attempt{
			{Upstream: "app", Peer: "127.0.0.1:9001", Status: 502, Connect: -1, Head: -1, Response: time.Millisecond},
			{Upstream: "app", Peer: "127.0.0.1:9002", Status: 200, Connect: time.Millisecond, Head: time.Second, Response: 2 * time.Second},
		},
	}
}

func response(status int) *fasthttp.ResponseHeader {
	header := &fasthttp.ResponseHeader{}
	header.SetStatusCode(status)
	return header
}

// scrape returns all series of the text that Prometheus reads.
func scrape(t *testing.T, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Errorf("got %d: %.1000s", answer.Code, answer.Body)
	}
	series := map[string]float64{}
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSuffix(line[end+1:], "\n"), 64)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if _, twice := series[line[:end]]; twice {
			t.Errorf("got %s twice", line[:end])
		}
		series[line[:end]] = value
	}
	return series
}

func TestMetrics_KeepEndsTheSeriesOfOthers(t *testing.T) {
	m := metrics.New(metrics.Options{})
	m.Observe(relayed())
	m.Keep("app", "127.0.0.1:9002", "127.0.0.1:9003")
	got := scrape(t, m)
	if _, found := got[`spillway_attempts_total{code="502",peer="127.0.0.1:9001",upstream="app"}`]; found {
		t.Error("a peer that left is still shown")
	}
	if got[`spillway_attempts_total{code="200",peer="127.0.0.1:9002",upstream="app"}`] != 1 {
		t.Error("a peer that stays has lost its counters")
	}
	m.Keep("app")
	if _, found := scrape(t, m)[`spillway_attempts_total{code="200",peer="127.0.0.1:9002",upstream="app"}`]; found {
		t.Error("nobody is left, and is shown")
	}
}

func TestMetrics_ForgetEndsSeries(t *testing.T) {
	m := metrics.New(metrics.Options{})
	m.Observe(relayed())
	m.Forget("app", "127.0.0.1:9001")
	f := func(series string, want bool) {
		t.Helper()
		if _, found := scrape(t, m)[series]; found != want {
			t.Errorf("%s: got %v, want %v", series, found, want)
		}
	}
	f(`spillway_attempts_total{code="502",peer="127.0.0.1:9001",upstream="app"}`, false)
	f(`spillway_attempts_total{code="200",peer="127.0.0.1:9002",upstream="app"}`, true)
	m.Forget("app")
	m.Forget("unknown")
	m.Forget("")
	f(`spillway_requests_total{code="200",upstream="app"}`, false)
	m.Observe(&proxy.Exchange{Response: response(404)})
	f(`spillway_requests_total{code="404",upstream=""}`, true)
	m.Observe(relayed())
	f(`spillway_requests_total{code="200",upstream="app"}`, true)
}
