package resolve

import "time"

// Status is what is known of a name.
type Status struct {
	Name Name

	Addresses int       // of the last answer that had any
	Answered  time.Time // when that came; zero: there was none
	Next      time.Time // when the name is asked for again; zero: not any more
	Err       error     // why the last lookup was of no use, nil when it was

	Answers, Empty, Failures uint64 // lookups that found addresses, that found none, and that got no answer
}

// Status returns what is known of each name, in the order of the configuration.
func (f *Follower) Status() []Status {
	all := make([]Status, len(f.names))
	for i, n := range f.names {
		n.mu.Lock()
		all[i] = Status{
			Name: n.name, Addresses: len(n.targets), Answered: n.at, Next: n.next,
			Answers: n.answers.Load(), Empty: n.empty.Load(), Failures: n.failures.Load(),
		}
		if n.err != nil {
			all[i].Err = reason(n.err)
		}
		n.mu.Unlock()
	}
	return all
}
