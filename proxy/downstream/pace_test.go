package downstream

import (
	"testing"
	"time"
)

// drive lets a response of total bytes go at the pace; it returns how long it took and the largest piece.
func drive(t *testing.T, p *pace, total int) (took time.Duration, largest int) {
	t.Helper()
	now := time.Hour // the clock of a listener does not begin with the response
	began := now
	for steps := 0; total > 0; steps++ {
		if steps > 1e6 {
			t.Fatal("no end")
		}
		may, wait := p.next(now, min(total, 64<<10))
		if (may > 0) == (wait > 0) {
			t.Fatalf("got %d bytes and a wait of %v", may, wait)
		}
		total -= may
		largest = max(largest, may)
		now += wait
	}
	return now - began, largest
}

func TestPace_TakesAsLongAsTheRateSays(t *testing.T) {
	f := func(rate, after int64, total int, want time.Duration) {
		t.Helper()
		p := &pace{}
		p.reset(rate, after)
		got, largest := drive(t, p, total)
		if got > want || got < want-paceEvery-time.Millisecond {
			t.Errorf("%d bytes at %d, after %d: took %v, want %v", total, rate, after, got, want)
		}
		if limit := max(after, rate/10+1, 1) + rate/10 + 1; int64(largest) > limit {
			t.Errorf("%d bytes at %d, after %d: got a piece of %d bytes, want %d at most", total, rate, after, largest, limit)
		}
	}
	f(100<<10, 0, 1000<<10, 10*time.Second)
	f(100<<10, 500<<10, 1000<<10, 5*time.Second)
	f(100<<10, 1000<<10, 1000<<10, 0)
	f(1<<40, 0, 10<<20, 0)
	f(1<<62, 1<<62, 10<<20, 0)
}

// TestPace_SlowestRate: at less than a byte per piece whole bytes are sent even so.
func TestPace_SlowestRate(t *testing.T) {
	p := &pace{}
	p.reset(1, 0)
	took, largest := drive(t, p, 10)
	if took != 9*time.Second || largest != 1 {
		t.Errorf("got %v, pieces of %d bytes, want 9s and single bytes", took, largest)
	}
}

// TestPace_IsAnAverage is about a peer that pauses: what was not sent meanwhile may follow, as in nginx, but at the average.
func TestPace_IsAnAverage(t *testing.T) {
	p := &pace{}
	p.reset(1000, 0)
	if may, _ := p.next(0, 10); may != 10 {
		t.Fatalf("got %d bytes, want 10", may)
	}
	if may, _ := p.next(2*time.Second, 1<<20); may != 2090 {
		t.Errorf("got %d bytes after two seconds, want those of two seconds and a piece, without the 10", may)
	}
}
