package app

import (
	"maps"
	"slices"
	"time"

	"spillway/proxy/metrics"
	"spillway/upstream"
	"spillway/upstream/supervisor"
)

// newMetrics makes the metrics: what the fronts observe of exchanges, and the numbers that others keep.
func (a *App) newMetrics() *metrics.Metrics {
	m := metrics.New(metrics.Options{Nginx: a.connections})
	gauge := func(name, help string, value func() float64) { m.Gauge(name, help, nil, value) }
	counter := func(name, help string, value func() float64) { m.Counter(name, help, nil, value) }

	gauge("spillway_buffer_memory_bytes", "Memory of buffers in use.",
		func() float64 { return float64(a.arena.InUse()) })
	gauge("spillway_buffer_memory_budget_bytes", "Memory that buffers may use; 0 is no limit.",
		func() float64 { return float64(a.arena.Budget()) })
	gauge("spillway_temp_disk_bytes", "Disk space of spill files in use.",
		func() float64 { return float64(a.generation().spill.InUse()) })
	gauge("spillway_temp_disk_budget_bytes", "Disk space that spill files may use; 0 is no limit.",
		func() float64 { return float64(a.generation().spill.Budget()) })
	gauge("spillway_temp_files", "Spill files that are open.",
		func() float64 { return float64(a.generation().spill.Files()) })
	gauge("spillway_why_requests", "Requests in which something has failed that are kept.",
		func() float64 { kept, _ := a.why.Stats(); return float64(kept) })
	gauge("spillway_why_bytes", "Memory that they, and what is kept of processes that have ended, take.",
		func() float64 { _, bytes := a.why.Stats(); return float64(bytes) })
	gauge("spillway_requests_in_flight", "Requests that are being served.",
		func() float64 { return float64(a.connections().Writing) })
	counter("spillway_temp_errors_total", "Failures to create, write or read a spill file.",
		func() float64 { return float64(a.generation().spill.Stats().Errors) })
	counter("spillway_log_lines_dropped_total", "Log lines that a slow or full disk did not take.", a.droppedLines)
	counter("spillway_accept_errors_total", "Connections that could not be accepted.", a.acceptErrors)

	gauge("spillway_config_generation", "Number of the configuration that serves, from 1.",
		func() float64 { return float64(a.generation().number) })
	gauge("spillway_config_last_reload_successful", "1 when the last reload changed the configuration, or there was none.",
		func() float64 { return a.lastReload().successful() })
	for _, result := range []string{resultDone, resultRefused} {
		m.Counter("spillway_reloads_total", "Reloads by their result.", metrics.Labels{"result": result},
			func() float64 { return float64(a.countReloads(result)) })
	}
	m.Show(a.showHealth)
	return m
}

// processStates are the values of the label state.
var processStates = []supervisor.State{
	supervisor.Starting, supervisor.Ready, supervisor.Draining, supervisor.Stopping, supervisor.Restarting, supervisor.Failed,
}

// exitReasons are the values of the label reason.
var exitReasons = []supervisor.Reason{
	supervisor.ReasonExited, supervisor.ReasonNotReady, supervisor.ReasonMaxRequests, supervisor.ReasonMaxAge,
	supervisor.ReasonMaxMemory, supervisor.ReasonBusyTimeout, supervisor.ReasonUnhealthy, supervisor.ReasonRestart, supervisor.ReasonUpdate,
	supervisor.ReasonIdle, supervisor.ReasonStop,
}

// showSeries makes the series of the generation's upstreams and processes, so that they are there from the start. They
// show the present generation, whichever that is.
func (a *App) showSeries(g *generation) {
	for _, made := range g.groups {
		var peers []string
		for _, p := range made.peers.Peers() {
			peers = append(peers, p.Address())
		}
		name := made.config.Name
		a.metrics.Expect(name, peers...)
		a.dropSeries(name)
		a.series[name] = a.groupSeries(name)
		if made.backend != nil {
			a.series[name] = append(a.series[name], a.backendSeries(name)...)
		}
		a.series[name] = append(a.series[name], a.nameSeries(made)...)
	}
	for _, name := range slices.Collect(maps.Keys(a.series)) {
		if g.group(name) == nil {
			a.dropSeries(name)
		}
	}
}

func (a *App) dropSeries(name string) {
	for _, remove := range a.series[name] {
		remove()
	}
	delete(a.series, name)
}

// forgetSeries ends the counters of what the generation had and the present one has not; its last exchange has ended.
func (a *App) forgetSeries(former *generation) {
	present := a.generation()
	for _, made := range former.groups {
		name := made.config.Name
		now := present.group(name)
		if now == nil {
			a.metrics.Forget(name)
			continue
		}
		var gone []string
		for _, p := range made.peers.Peers() {
			if now.peerAt(p.Address()) == nil {
				gone = append(gone, p.Address())
			}
		}
		if len(gone) > 0 {
			a.metrics.Forget(name, gone...)
		}
	}
}

// groupSeries are the numbers that a group keeps.
func (a *App) groupSeries(name string) (remove []func()) {
	labels := metrics.Labels{"upstream": name}
	value := func(of func(*group) float64) func() float64 {
		return func() float64 {
			if g := a.generation().group(name); g != nil {
				return of(g)
			}
			return 0
		}
	}
	gauge := func(name, help string, of func(*group) float64) {
		remove = append(remove, a.metrics.Gauge(name, help, labels, value(of)))
	}
	counter := func(name, help string, of func(*group) float64) {
		remove = append(remove, a.metrics.Counter(name, help, labels, value(of)))
	}
	gauge("spillway_upstream_idle_connections", "Idle connections to the peers of an upstream.",
		func(g *group) float64 { return float64(g.peers.Idle()) })
	gauge("spillway_upgraded_connections", "Connections that have gone on in another protocol, such as WebSocket.",
		func(g *group) float64 { now, _ := g.peers.Upgraded(); return float64(now) })
	counter("spillway_upgraded_connections_total", "Connections that ever went on in another protocol.",
		func(g *group) float64 { _, total := g.peers.Upgraded(); return float64(total) })
	gauge("spillway_upstream_peers", "Peers of an upstream; the addresses of a host name are as many as it has.",
		func(g *group) float64 { return float64(len(g.peers.Peers())) })
	gauge("spillway_queue_waiting", "Requests that wait for a free slot or a process.",
		func(g *group) float64 { return float64(g.peers.Queue().Waiting) })
	for _, lane := range []upstream.Lane{upstream.Express, upstream.Normal, upstream.Bulk} {
		remove = append(remove, a.metrics.Gauge("spillway_lane_waiting", "Requests that wait, by their lane.",
			metrics.Labels{"upstream": name, "lane": lane.String()}, value(func(g *group) float64 { return float64(g.peers.Queue().Lanes[lane]) })))
	}
	gauge("spillway_bulk_slots", "Slots that requests of lane bulk have.",
		func(g *group) float64 { return float64(g.peers.Queue().Bulk) })
	gauge("spillway_queue_length", "Requests that may wait.",
		func(g *group) float64 { return float64(g.peers.Queue().Length) })
	counter("spillway_queue_requests_total", "Requests that had to wait.",
		func(g *group) float64 { return float64(g.peers.Queue().Total) })
	counter("spillway_queue_full_total", "Requests that were refused because as many as may waited already.",
		func(g *group) float64 { return float64(g.peers.Queue().Full) })
	counter("spillway_queue_client_full_total", "Requests that were refused because as many of their client as may waited already.",
		func(g *group) float64 { return float64(g.peers.Queue().ClientFull) })
	counter("spillway_queue_timeouts_total", "Requests that waited in vain.",
		func(g *group) float64 { return float64(g.peers.Queue().TimedOut) })
	counter("spillway_queue_wait_seconds_total", "Time that requests have waited, all together.",
		func(g *group) float64 { return g.peers.Queue().Waited.Seconds() })
	counter("spillway_poison_refused_total", "Requests that were refused because such requests have ended processes.",
		func(g *group) float64 { return float64(g.poison.Refused()) })
	gauge("spillway_poison_requests", "Requests, by method, host, path and parameters, that have ended processes lately.",
		func(g *group) float64 { return float64(len(g.poison.Suspects(time.Now()))) })
	counter("spillway_retry_budget_used_total", "Attempts that sent a request again which had reached a process.",
		func(g *group) float64 { return float64(g.peers.Retries(time.Now()).Total) })
	counter("spillway_retry_budget_denied_total", "Failures that were final because the budget of retries was used up.",
		func(g *group) float64 { return float64(g.peers.Retries(time.Now()).Denied) })
	return remove
}

// backendSeries are the numbers that a supervisor keeps.
func (a *App) backendSeries(name string) (remove []func()) {
	totals := func() supervisor.Totals {
		if g := a.generation().group(name); g != nil && g.backend != nil {
			return g.backend.supervised.Totals()
		}
		return supervisor.Totals{}
	}
	counter := func(metric, help string, more metrics.Labels, value func() float64) {
		labels := metrics.Labels{"backend": name}
		maps.Copy(labels, more)
		remove = append(remove, a.metrics.Counter(metric, help, labels, value))
	}
	counter("spillway_process_starts_total", "Starts of processes.", nil,
		func() float64 { return float64(totals().Starts) })
	counter("spillway_process_restarts_total", "Starts of processes that had been started before.", nil,
		func() float64 { return float64(totals().Restarts) })
	for _, reason := range exitReasons {
		counter("spillway_process_exits_total", "Ends of processes, by why they were ended.",
			metrics.Labels{"reason": string(reason)}, func() float64 { return float64(totals().Exits[reason]) })
	}
	inState := func(states ...supervisor.State) func() float64 {
		return func() float64 { return float64(a.countProcesses(name, states)) }
	}
	remove = append(remove, a.metrics.Gauge("spillway_processes_ready", "Processes that get requests.",
		metrics.Labels{"backend": name}, inState(supervisor.Ready)))
	for _, state := range processStates {
		remove = append(remove, a.metrics.Gauge("spillway_processes", "Processes by their state.",
			metrics.Labels{"backend": name, "state": state.String()}, inState(state)))
	}
	return remove
}

// countProcesses counts the processes of an upstream that are in one of these states.
func (a *App) countProcesses(name string, states []supervisor.State) int {
	g := a.generation().group(name)
	if g == nil || g.backend == nil {
		return 0
	}
	n := 0
	all := g.backend.supervised.Snapshot()
	for i := range all {
		if slices.Contains(states, all[i].State) {
			n++
		}
	}
	return n
}
