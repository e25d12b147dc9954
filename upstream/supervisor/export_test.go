package supervisor

// Queued returns how many replacements wait for their turn.
func (b *Backend) Queued() (n int) {
	_ = b.ask(func() { n = len(b.queue) })
	return n
}

// Jobs returns how many jobs nobody has taken.
func (b *Backend) Jobs() int {
	b.inbox.mu.Lock()
	defer b.inbox.mu.Unlock()
	return len(b.inbox.jobs)
}
