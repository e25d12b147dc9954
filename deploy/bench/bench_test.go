package main

import (
	"testing"
	"time"
)

// The loop against a peer itself, without a proxy.
func TestClosedLoop_CountsAnswers(t *testing.T) {
	peers, err := startPeers(t.Context(), "http", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer peers.close()
	l, err := closedLoop(t.Context(), peers.addrs[0], 50*time.Millisecond, 4)
	if err != nil || l.Requests == 0 || l.P99 < l.P50 {
		t.Errorf("got %+v, %v, want answers", l, err)
	}
}

func TestParseStat_NameWithSpacesAndParentheses(t *testing.T) {
	pid, parent, used, err := parseStat("42 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 100")
	if err != nil || pid != 42 || parent != 7 || used != 2*time.Second {
		t.Errorf("got %d, %d, %v, %v, want 42, 7, 2s", pid, parent, used, err)
	}
	for _, text := range []string{"", "1 (a", "1 (a) S 2", "x (a) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 0"} {
		if _, _, _, err := parseStat(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
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
