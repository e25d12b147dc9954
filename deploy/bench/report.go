package main

import (
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"time"
)

// A round is one proxy under load for a while.
type round struct {
	load   load
	cpu    time.Duration // of the proxy's processes
	memory int64         // in its middle, in bytes
}

// cpuPerRequest is in microseconds.
func (r round) cpuPerRequest() float64 {
	return float64(r.cpu) / float64(time.Microsecond) / float64(r.load.Requests)
}

func (r round) perSecond() float64 { return float64(r.load.Requests) / r.load.Length.Seconds() }
func (r round) mean() float64      { return milliseconds(r.load.Mean) }
func (r round) p50() float64       { return milliseconds(r.load.P50) }
func (r round) p99() float64       { return milliseconds(r.load.P99) }
func (r round) p999() float64      { return milliseconds(r.load.P999) }
func (r round) megabytes() float64 { return megabytes(r.memory) }

func (r round) describe(name string) string {
	return fmt.Sprintf("%-8s %8.2f µs CPU/request, %6.0f requests/s, p50 %.2f ms, p99 %.2f ms",
		name, r.cpuPerRequest(), r.perSecond(), r.p50(), r.p99())
}

// An idleRound is the memory of one proxy before and after clients have come, in bytes.
type idleRound struct {
	before, after int64
	clients       int
}

func (r idleRound) mbBefore() float64    { return megabytes(r.before) }
func (r idleRound) mbAfter() float64     { return megabytes(r.after) }
func (r idleRound) kbPerClient() float64 { return float64(r.after-r.before) / 1e3 / float64(r.clients) }

func (r idleRound) describe(name string) string {
	return fmt.Sprintf("%-8s %.1f MB, with idle clients %.1f MB", name, r.mbBefore(), r.mbAfter())
}

// A result is all rounds of one proxy in one scenario.
type result struct {
	scenario scenario
	proxy    string
	closed   []round
	open     []round
	idle     []idleRound
	failed   error // then it has not had all rounds

	// Medians of what is nginx's in the same round; 0 without nginx.
	ratio     float64 // of the CPU per request
	p99Ratio  float64
	p999Ratio float64
}

// newResults is before the first round.
func newResults(p *plan, s *scenario) []result {
	results := make([]result, len(p.commands))
	for i := range results {
		results[i] = result{scenario: *s, proxy: p.commands[i].Name}
	}
	return results
}

// leaveOut ends the part of a proxy in a scenario.
func (r *result) leaveOut(err error) {
	log.Printf("%s: %s is left out: %v", r.scenario.name(), r.proxy, err)
	r.failed = err
}

// halfLoad says at how many requests per second each proxy shows how long they take: half of what it can, and no more than
// half of what nginx can, so that who is faster does not have to do more.
func halfLoad(results []result) []float64 {
	rates := make([]float64, len(results))
	base := complete(results)
	for i := range results {
		rates[i] = median(collect(results[i].closed, round.perSecond)) / 2
	}
	if base >= 0 {
		for i := range rates {
			rates[i] = min(rates[i], rates[base])
		}
	}
	return rates
}

// complete is the index of nginx among the results of a scenario, or -1 if it has not had all rounds.
func complete(results []result) int {
	return slices.IndexFunc(results, func(r result) bool { return r.proxy == nginxName && r.failed == nil })
}

// setRatios compares the results of one scenario round by round, as neighbours in time had the same machine.
func setRatios(results []result) {
	base := complete(results)
	if base < 0 {
		return
	}
	nginx := &results[base]
	for i := range results {
		if r := &results[i]; r.failed == nil {
			r.ratio = ratio(r.closed, nginx.closed, round.cpuPerRequest)
			r.p99Ratio, r.p999Ratio = ratio(r.open, nginx.open, round.p99), ratio(r.open, nginx.open, round.p999)
		}
	}
}

// ratio is the median of the ratios round by round.
func ratio[R any](rounds, base []R, value func(R) float64) float64 {
	ratios := make([]float64, len(rounds))
	for n, r := range rounds {
		ratios[n] = value(r) / value(base[n])
	}
	return median(ratios)
}

// writeReport writes Markdown.
func writeReport(out io.Writer, results []result) error {
	var loaded, idle, failed strings.Builder
	for i := range results {
		r := &results[i]
		switch {
		case r.failed != nil:
			fmt.Fprintf(&failed, "- %s: %s is left out: %v\n", r.scenario.name(), r.proxy, r.failed)
		case r.scenario.idle:
			fmt.Fprintf(&idle, "| %s | %s | %s | %s | %s |\n", r.scenario.name(), r.proxy,
				spread(collect(r.idle, idleRound.mbBefore)), spread(collect(r.idle, idleRound.mbAfter)),
				spread(collect(r.idle, idleRound.kbPerClient)))
		default:
			fmt.Fprintf(&loaded, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.scenario.name(), r.proxy,
				spread(collect(r.closed, round.cpuPerRequest)), known(r.ratio), spread(collect(r.closed, round.perSecond)),
				spread(collect(r.open, round.p50)), spread(collect(r.open, round.p99)), known(r.p99Ratio),
				spread(collect(r.open, round.p999)), known(r.p999Ratio), spread(collect(r.closed, round.megabytes)))
		}
	}
	for _, table := range []struct{ head, rows string }{
		{"| case | proxy | CPU µs/request | to nginx | requests/s | p50 ms | p99 ms | to nginx | p99.9 ms | to nginx | memory MB |\n" +
			"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n", loaded.String()},
		{"| case | proxy | MB without clients | MB with them | KB per client |\n|---|---|---:|---:|---:|\n", idle.String()},
		{"", failed.String()},
	} {
		if table.rows == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s%s\n", table.head, table.rows); err != nil {
			return err
		}
	}
	return nil
}

// known is a ratio, or nothing when there is none.
func known(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio)
}

// spread is the median with minimum and maximum.
func spread(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s–%s)", digits(median(values)), digits(slices.Min(values)), digits(slices.Max(values)))
}

// digits writes as many as say something.
func digits(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.2f", value)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func megabytes(n int64) float64            { return float64(n) / 1e6 }

func collect[R any](rounds []R, value func(R) float64) []float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return values
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
