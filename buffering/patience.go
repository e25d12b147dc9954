package buffering

import "time"

const (
	// maxPatience is how long a pipe with full buffers waits for its client before it spills: longer than the pauses of
	// a fast client (a time slice, a garbage collection, a round trip within a site), and a delay that the peer of a
	// slow client does not feel.
	maxPatience = 20 * time.Millisecond

	// minPatience is the shortest wait worth a timer.
	minPatience = time.Millisecond

	// patientRate is the speed of a client, in bytes per second, for which the peer is kept waiting. At 8 MB/s a peer
	// is kept for 1/8 s per megabyte, and one disk takes the spills of dozens of slower clients.
	patientRate = 8e6

	// maxRenewals is how often in a row a client gets a new credit for saying that it takes more, without taking any:
	// half a second, in which the goroutine that writes gets a turn on a busy processor.
	maxRenewals = 25

	// maxWrite is how much is written to a client in one go at most, whatever the limits say: 8 ms at patientRate, so
	// that a client of that speed pays back before the patience is used up.
	maxWrite = 64 << 10
)

// patience is the credit that a client has before its response is spilled; the zero value is the full credit.
type patience struct {
	used    time.Duration // 0 to maxPatience
	renewed int           // since the client took something
}

// left returns how long the fill side may wait; 0 means that it should spill.
func (p *patience) left() time.Duration {
	if left := maxPatience - p.used; left >= minPatience {
		return left
	}
	return 0
}

// lend takes all that is left for a wait. What the client pays back during the wait comes on top of what repay returns.
func (p *patience) lend() { p.used = maxPatience }

// repay gives back the part of a wait that was not needed.
func (p *patience) repay(unused time.Duration) { p.used = max(p.used-max(unused, 0), 0) }

// renew gives all of the credit back to a client that would take more at the moment: it is not the one to wait for.
func (p *patience) renew() {
	if p.renewed < maxRenewals {
		p.renewed++
		p.used = 0
	}
}

// delivered pays back for n bytes that the client took.
func (p *patience) delivered(n int64) {
	p.renewed = 0
	if p.used > 0 {
		p.repay(time.Duration(float64(n) / patientRate * float64(time.Second)))
	}
}
