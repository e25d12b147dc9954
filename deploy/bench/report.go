package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A round is one proxy under load for a while.
type round struct {
	load load
	cpu  time.Duration // of the proxy's processes
}

// cpuPerRequest is in microseconds.
func (r round) cpuPerRequest() float64 {
	return float64(r.cpu) / float64(time.Microsecond) / float64(r.load.Requests)
}

func (r round) perSecond() float64 { return float64(r.load.Requests) / r.load.Length.Seconds() }

func (r round) describe(name string) string {
	return fmt.Sprintf("%-8s %6.2f µs CPU/request, %6.0f requests/s, p50 %v, p99 %v",
		name, r.cpuPerRequest(), r.perSecond(), r.load.P50.Round(time.Microsecond), r.load.P99.Round(time.Microsecond))
}

// A result is all rounds of one proxy in front of one kind of peers.
type result struct {
	protocol string
	proxy    string
	rounds   []round
	ratio    float64 // median of the CPU per request over nginx's in the same round; 0 without nginx
}

// setRatios compares round by round, as neighbours in time had the same machine.
func setRatios(results []result) {
	base := slices.IndexFunc(results, func(r result) bool { return r.proxy == nginxName })
	if base < 0 {
		return
	}
	for i := range results {
		var ratios []float64
		for n, r := range results[i].rounds {
			ratios = append(ratios, r.cpuPerRequest()/results[base].rounds[n].cpuPerRequest())
		}
		results[i].ratio = median(ratios)
	}
}

// writeTable writes Markdown. Every number is a median over the rounds, with minimum and maximum for the CPU time.
func writeTable(out io.Writer, results []result) error {
	var text strings.Builder
	text.WriteString("| peers | proxy | CPU µs/request | min | max | requests/s | p50 ms | p99 ms | CPU to nginx |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range results {
		cpu := collect(r.rounds, round.cpuPerRequest)
		fmt.Fprintf(&text, "| %s | %s | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f | %.2f |\n",
			r.protocol, r.proxy, median(cpu), slices.Min(cpu), slices.Max(cpu),
			median(collect(r.rounds, round.perSecond)),
			median(collect(r.rounds, func(r round) float64 { return milliseconds(r.load.P50) })),
			median(collect(r.rounds, func(r round) float64 { return milliseconds(r.load.P99) })),
			r.ratio)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func collect(rounds []round, value func(round) float64) []float64 {
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
