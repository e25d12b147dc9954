package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// RetryBudget bounds how many retries a group's requests have together, so that an upstream that is dying is not finished off
// by requests that are sent once more: over the last ten seconds a share of the requests, and never less than some in each
// second. The rule is that of Finagle's RetryBudget, with Envoy's numbers (20 %, 3). The zero value is no bound.
type RetryBudget struct {
	Percent int // retries per hundred requests
	Min     int // retries per second that are always allowed
}

const budgetWindow = 10 // seconds

// budget counts the requests of the last seconds, and what was sent again.
type budget struct {
	limit    RetryBudget
	requests [budgetWindow + 1]second // one more than is looked at: nobody clears a counter that is being read
	used     atomic.Uint64            // retries since the start
	denied   atomic.Uint64            // failures that were final for want of budget

	mu      sync.Mutex // guards all below; taken for retries only
	retries [budgetWindow + 1]second
	told    int64 // the second in which somebody was told that the budget is used up
}

// second is a counter of events in one second: Unix time in the upper half, the number in the lower.
type second struct{ word atomic.Uint64 }

const countBits = 32

// add counts an event; it is exact but for one that began in a second ten seconds ago.
func (s *second) add(unix int64) {
	for {
		word := s.word.Load()
		if int64(word>>countBits) == unix {
			s.word.Add(1)
			return
		}
		if s.word.CompareAndSwap(word, uint64(unix)<<countBits|1) {
			return
		}
	}
}

// sum adds up what happened in the window that ends with a second.
func sum(seconds *[budgetWindow + 1]second, unix int64) int {
	n := uint64(0)
	for i := range seconds {
		word := seconds[i].word.Load()
		if age := unix - int64(word>>countBits); age >= 0 && age < budgetWindow {
			n += word & (1<<countBits - 1)
		}
	}
	return int(n)
}

// CountRequest counts a request of the group, by which its budget of retries grows. It costs one atomic addition.
func (g *Group) CountRequest(now time.Time) {
	if g.budget.limit == (RetryBudget{}) {
		return
	}
	unix := now.Unix()
	g.budget.requests[unix%(budgetWindow+1)].add(unix)
}

// TakeRetry takes a retry from the budget. When there is none left, tell says whether that is to be logged: once in ten seconds.
func (g *Group) TakeRetry(now time.Time) (ok, tell bool) {
	b := &g.budget
	if b.limit == (RetryBudget{}) {
		b.used.Add(1)
		return true, false
	}
	unix := now.Unix()
	b.mu.Lock()
	defer b.mu.Unlock()
	allowed := max(sum(&b.requests, unix)*b.limit.Percent/100, b.limit.Min*budgetWindow)
	if sum(&b.retries, unix) < allowed {
		b.retries[unix%(budgetWindow+1)].add(unix)
		b.used.Add(1)
		return true, false
	}
	b.denied.Add(1)
	if unix-b.told < budgetWindow {
		return false, false
	}
	b.told = unix
	return false, true
}

// RetryStats are the numbers of a group's retries: those that the last ten seconds had, and allowed, and totals since the start.
type RetryStats struct {
	Recent, Allowed int // Allowed is 0 without a budget
	Total, Denied   uint64
}

// Retries returns them.
func (g *Group) Retries(now time.Time) RetryStats {
	b, unix := &g.budget, now.Unix()
	return RetryStats{
		Recent:  sum(&b.retries, unix),
		Allowed: max(sum(&b.requests, unix)*b.limit.Percent/100, b.limit.Min*budgetWindow),
		Total:   b.used.Load(), Denied: b.denied.Load(),
	}
}
