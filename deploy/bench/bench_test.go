package main

import (
	"testing"
	"time"

	"spillway/deploy/internal/peers"
)

// The loop against a peer itself, without a proxy.
func TestClosedLoop_CountsAnswers(t *testing.T) {
	set, err := peers.Start(t.Context(), "http", 1, answer)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	l, err := closedLoop(t.Context(), set.Addrs[0], 50*time.Millisecond, 4)
	if err != nil || l.Requests == 0 || l.P99 < l.P50 {
		t.Errorf("got %+v, %v, want answers", l, err)
	}
}

func TestMedian(t *testing.T) {
	f := func(want float64, values ...float64) {
		t.Helper()
		if got := median(values); got != want {
			t.Errorf("%v: got %v, want %v", values, got, want)
		}
	}
	f(0)
	f(3, 3)
	f(2, 3, 1, 2)
	f(2.5, 4, 1, 2, 3)
}
