package supervisor_test

import (
	"strings"
	"testing"
	"time"
)

// A process that writes as fast as it can, to one stream without an end of a line, becomes ready and is stopped as any other,
// and the log stays readable.
func TestBackend_OutlivesAFloodOfOutput(t *testing.T) {
	h := newHarness(t, "flood", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !strings.Contains(h.log.String(), "process output left out"); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("all lines are written")
		}
	}
	h.stop(t)
	lines, leftOut := len(h.records(t, "process output")), 0.0
	for _, record := range h.records(t, "process output left out") {
		n, _ := record["lines"].(float64)
		leftOut += n
	}
	if leftOut < float64(lines) {
		t.Errorf("got %d lines in the log and %v left out, want most left out", lines, leftOut)
	}
}
