package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A report is what came of a plan.
type report struct {
	requests int             // that have left a client
	took     []time.Duration // of each that succeeded
	failures map[string]int  // by kind
	length   time.Duration
	deeds    []deeds
	counted  int // requests by spillway's own count
	logged   int // lines of its access logs
}

// failure is nil when nothing was lost.
func (r *report) failure() error {
	var lost []string
	for _, kind := range slices.Sorted(maps.Keys(r.failures)) {
		lost = append(lost, fmt.Sprintf("%d × %s", r.failures[kind], kind))
	}
	if len(lost) == 0 {
		return nil
	}
	return errors.New("requests failed: " + strings.Join(lost, ", "))
}

// write prints the figures; the error says what was lost.
func (r *report) write(out io.Writer) error {
	var text strings.Builder
	failed := 0
	for _, n := range r.failures {
		failed += n
	}
	fmt.Fprintf(&text, "requests  %d in %v, %.0f/s\nfailed    %d\n", r.requests, r.length.Round(time.Millisecond),
		float64(r.requests)/r.length.Seconds(), failed)
	for _, kind := range slices.Sorted(maps.Keys(r.failures)) {
		fmt.Fprintf(&text, "          %d × %s\n", r.failures[kind], kind)
	}
	slices.Sort(r.took)
	if len(r.took) > 0 {
		at := func(part float64) time.Duration {
			return r.took[int(part*float64(len(r.took)-1))].Round(10 * time.Microsecond)
		}
		fmt.Fprintf(&text, "answers   p50 %v, p99 %v, p99.9 %v, longest %v\n", at(.5), at(.99), at(.999), at(1))
	}
	for _, d := range r.deeds {
		if d.count > 0 {
			fmt.Fprintf(&text, "done      %d %s, mean %v, longest %v\n", d.count, d.what,
				(d.took / time.Duration(d.count)).Round(time.Millisecond), d.most.Round(time.Millisecond))
		}
	}
	fmt.Fprintf(&text, "counted   %d by spillway, %d lines in its access logs\n", r.counted, r.logged)
	_, err := io.WriteString(out, text.String())
	if r.requests == 0 {
		err = errors.Join(err, errors.New("no request was made"))
	}
	if r.counted != r.requests || r.logged != r.requests {
		err = errors.Join(err, fmt.Errorf("of %d requests %d were counted and %d logged", r.requests, r.counted, r.logged))
	}
	return errors.Join(err, r.failure())
}
