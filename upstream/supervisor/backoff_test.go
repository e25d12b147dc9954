package supervisor

import (
	"testing"
	"time"
)

func TestBackoff_DoublesUntilTheProcessHoldsOut(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: time.Second}
	f := func(ready, want time.Duration) {
		t.Helper()
		if got := b.next(ready); got < want*8/10 || got > want*12/10 {
			t.Errorf("got %v, want %v by a fifth more or less", got, want)
		}
	}
	f(0, 100*time.Millisecond)
	f(0, 200*time.Millisecond)
	f(999*time.Millisecond, 400*time.Millisecond) // not long enough
	f(0, 800*time.Millisecond)
	f(0, time.Second)
	f(0, time.Second)
	f(time.Second, 100*time.Millisecond)
	f(0, 200*time.Millisecond)
}

func TestBackoff_IsNotInStep(t *testing.T) {
	waits := make(map[time.Duration]bool)
	for range 20 {
		b := backoff{min: time.Second, max: time.Second}
		waits[b.next(0)] = true
	}
	if len(waits) < 2 {
		t.Errorf("got the same wait 20 times: %v", waits)
	}
}
