package downstream

import "iter"

// conns is a set of connections, each of which is in one at most. To come and go costs no memory and no search:
// BenchmarkListener_Fresh.
type conns struct {
	first *conn
	count int
}

// neighbours are those of a connection in its set.
type neighbours struct{ before, after *conn }

func (s *conns) add(c *conn) {
	c.beside.after = s.first
	if s.first != nil {
		s.first.beside.before = c
	}
	s.first = c
	s.count++
}

// remove takes out what is in the set.
func (s *conns) remove(c *conn) {
	before, after := c.beside.before, c.beside.after
	if before == nil {
		s.first = after
	} else {
		before.beside.after = after
	}
	if after != nil {
		after.beside.before = before
	}
	c.beside = neighbours{}
	s.count--
}

// all yields all of them, in no order.
func (s *conns) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for c := s.first; c != nil && yield(c); c = c.beside.after {
		}
	}
}
