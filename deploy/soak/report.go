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

// A report is what came of a run.
type report struct {
	journal *journal // nobody writes to it any more
	deeds   map[string]int
	length  time.Duration
	counted int // requests by spillway's own count
	logged  int // lines of its access logs
	retries int // attempts that sent a request again
	spills  int // responses and request bodies that went to a file
	posts   int // that a process has had
	twice   int // of those: more than once
	leaks   []string
	before  usage
	after   usage
	memory  []sample
}

// write prints the figures; the error says what was wrong.
func (r *report) write(out io.Writer) error {
	var text strings.Builder
	line := func(name, format string, values ...any) {
		fmt.Fprintf(&text, "%-11s"+format+"\n", append([]any{name}, values...)...)
	}
	list := func(name string, counts map[string]int) {
		for _, kind := range slices.Sorted(maps.Keys(counts)) {
			line(name, "%d × %s", counts[kind], kind)
			name = ""
		}
	}
	requests := r.journal.requests
	line("requests", "%d in %v, %.0f/s", requests, r.length.Round(time.Millisecond), float64(requests)/r.length.Seconds())
	list("right", r.journal.done)
	list("excused", r.journal.excused)
	list("failed", r.journal.failures)
	list("done", r.deeds)
	line("counted", "%d by spillway, %d lines in its access logs", r.counted, r.logged)
	line("POSTs", "%d at our own processes, %d of them twice", r.posts, r.twice)
	line("spillway", "%d retries, %d spill files", r.retries, r.spills)
	line("goroutines", "%d before, %d after", r.before.goroutines, r.after.goroutines)
	line("files", "%d open before, %d after", r.before.files, r.after.files)
	most := slices.MaxFunc(append(r.memory, sample{}), func(a, b sample) int { return int(a.bytes - b.bytes) })
	line("memory", "%.1f MiB before, %.1f at most, %.1f after; slope of the second half %+.2f MiB/min", mebibytes(r.before.memory),
		mebibytes(most.bytes), mebibytes(r.after.memory), slope(r.memory[len(r.memory)/2:])*60/(1<<20))
	list("left over", tally(r.leaks))
	_, err := io.WriteString(out, text.String())
	return errors.Join(err, r.failure())
}

// failure is nil when nothing was lost, mixed up or left over.
func (r *report) failure() error {
	var wrong []error
	if r.journal.requests == 0 {
		wrong = append(wrong, errors.New("no request was made"))
	}
	failed := 0
	for _, n := range r.journal.failures {
		failed += n
	}
	if failed > 0 {
		wrong = append(wrong, fmt.Errorf("%d requests failed", failed))
	}
	if r.counted != r.journal.requests || r.logged != r.journal.requests {
		wrong = append(wrong, fmt.Errorf("of %d requests %d were counted and %d logged", r.journal.requests, r.counted, r.logged))
	}
	if r.twice > 0 {
		wrong = append(wrong, fmt.Errorf("%d POSTs were done twice", r.twice))
	}
	for _, leak := range r.leaks {
		wrong = append(wrong, errors.New("left over: "+leak))
	}
	return errors.Join(wrong...)
}

func tally(texts []string) map[string]int {
	counts := map[string]int{}
	for _, text := range texts {
		counts[text]++
	}
	return counts
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// A sample is the resident memory at some time of the run.
type sample struct {
	at    time.Duration
	bytes int64
}

// slope is that of the line through the samples with the least squares, in bytes per second.
func slope(samples []sample) float64 {
	var n, x, y, xx, xy float64
	for _, s := range samples {
		at, bytes := s.at.Seconds(), float64(s.bytes)
		n, x, y, xx, xy = n+1, x+at, y+bytes, xx+at*at, xy+at*bytes
	}
	if spread := n*xx - x*x; spread > 0 {
		return (n*xy - x*y) / spread
	}
	return 0
}
