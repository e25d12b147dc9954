package app

import "sync/atomic"

// share is something that several generations use: who comes first makes it, who goes last ends it. It begins with one user.
type share struct {
	end  func() // ends it; called once, by the last user
	more atomic.Int32
}

// hold adds a user, unless the last one has gone already.
func (s *share) hold() bool {
	for {
		more := s.more.Load()
		if more < 0 {
			return false
		}
		if s.more.CompareAndSwap(more, more+1) {
			return true
		}
	}
}

// letGo takes a user away.
func (s *share) letGo() {
	if s.more.Add(-1) < 0 {
		s.end()
	}
}
