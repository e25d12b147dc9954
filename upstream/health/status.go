package health

import (
	"errors"
	"fmt"
	"time"
)

// Outcome is how a probe ended.
type Outcome uint8

// The outcomes.
const (
	Passed  Outcome = iota
	Failed          // the peer did not answer as it should
	Skipped         // it says nothing: see ErrNoVerdict
)

// Outcomes are all of them, for labels of metrics.
func Outcomes() []Outcome { return []Outcome{Passed, Failed, Skipped} }

// String returns the outcome as status pages and metrics show it.
func (o Outcome) String() string { return [...]string{"passed", "failed", "skipped"}[o] }

// ErrNoVerdict is the error of a probe that says nothing about the peer: it is busy, its process has ended, or this side has no
// socket left.
var ErrNoVerdict = errors.New("no verdict")

// Status is what is known of the probes of a peer.
type Status struct {
	At    time.Time     // when the last probe that was not skipped began; zero: there was none
	Took  time.Duration // how long it took
	Err   error         // why it failed; nil: it did not
	Total [3]uint64     // probes since the peer is known here, by Outcome
}

// note counts a probe that has just ended.
func (s *Status) note(outcome Outcome, began time.Time, err error) {
	s.Total[outcome]++
	if outcome != Skipped {
		s.At, s.Took, s.Err = began, time.Since(began), err
	}
}

// noAnswer is the error of a probe that took too long.
func noAnswer(timeout time.Duration) error { return fmt.Errorf("no answer within %v", timeout) }
