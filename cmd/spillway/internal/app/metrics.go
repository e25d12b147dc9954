package app

import (
	"spillway/proxy/metrics"
	"spillway/upstream/supervisor"
)

// newMetrics makes the metrics: what the fronts observe of exchanges, and the numbers that others keep.
func (a *App) newMetrics() *metrics.Metrics {
	m := metrics.New(metrics.Options{Nginx: a.connections})
	m.Gauge("spillway_buffer_memory_bytes", "Memory of buffers in use.", nil,
		func() float64 { return float64(a.arena.InUse()) })
	m.Gauge("spillway_buffer_memory_budget_bytes", "Memory that buffers may use; 0 is no limit.", nil,
		func() float64 { return float64(a.arena.Budget()) })
	m.Gauge("spillway_temp_disk_bytes", "Disk space of spill files in use.", nil,
		func() float64 { return float64(a.spill.InUse()) })
	m.Gauge("spillway_temp_disk_budget_bytes", "Disk space that spill files may use; 0 is no limit.", nil,
		func() float64 { return float64(a.spill.Budget()) })
	m.Gauge("spillway_temp_files", "Spill files that are open.", nil, func() float64 { return float64(a.spill.Files()) })
	m.Gauge("spillway_requests_in_flight", "Requests that are being served.", nil,
		func() float64 { return float64(a.connections().Writing) })
	m.Counter("spillway_temp_errors_total", "Failures to create, write or read a spill file.", nil,
		func() float64 { return float64(a.spill.Stats().Errors) })
	m.Counter("spillway_log_lines_dropped_total", "Log lines that a slow or full disk did not take.", nil, a.logs.dropped)
	m.Counter("spillway_accept_errors_total", "Connections that could not be accepted.", nil, a.acceptErrors)
	return m
}

// expectUpstreams makes the series of the generation's upstreams and processes, so that they are there from the start.
func (a *App) expectUpstreams() {
	for _, g := range a.current.groups {
		var peers []string
		for _, p := range g.peers.Peers() {
			peers = append(peers, p.Address())
		}
		a.metrics.Expect(g.peers.Name(), peers...)
		a.metrics.Gauge("spillway_upstream_idle_connections", "Idle connections to the peers of an upstream.",
			metrics.Labels{"upstream": g.peers.Name()}, func() float64 { return float64(g.peers.Idle()) })
	}
	for _, b := range a.backends {
		labels := metrics.Labels{"backend": b.config.Name}
		count := func(name, help string, number func(*supervisor.ProcessState) int) {
			a.metrics.Counter(name, help, labels, func() float64 { return float64(b.sum(number)) })
		}
		count("spillway_process_starts_total", "Starts of processes.",
			func(p *supervisor.ProcessState) int { return p.Starts })
		count("spillway_process_exits_total", "Ends of processes.",
			func(p *supervisor.ProcessState) int { return p.Exits })
		count("spillway_process_restarts_total", "Starts of processes after the first.",
			func(p *supervisor.ProcessState) int { return p.Restarts })
		a.metrics.Gauge("spillway_processes_ready", "Processes that get requests.", labels,
			func() float64 { return float64(b.ready()) })
	}
}

// connections returns the numbers of nginx's stub_status for all listeners together.
func (a *App) connections() metrics.Nginx {
	all := metrics.Nginx{}
	for _, l := range a.listeners {
		s := l.serving.Stats()
		all.Accepted += s.Accepted
		all.Handled += s.Accepted
		all.Requests += s.Requests
		all.Active += int64(s.Active)
		all.Reading += int64(s.Reading)
		all.Writing += int64(s.Writing)
		all.Waiting += int64(s.Waiting)
	}
	return all
}

func (a *App) acceptErrors() float64 {
	total := uint64(0)
	for _, l := range a.listeners {
		total += l.serving.Stats().AcceptErrors
	}
	return float64(total)
}
