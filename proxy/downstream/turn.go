package downstream

import "spillway/upstream/socket"

// A connection is served in turns:
//
//  1. When a client has sent something, a task of the connection's loop begins a turn, and borrows an h1.
//  2. It serves the request, and the next one if that has come already. What takes long is not done in the loop: see Exchange.Task.
//  3. Between two requests, with nothing to read, the turn ends: an idle client has neither a stack nor buffers.
//
// Where there are no loops, a goroutine takes one turn that lasts as long as the connection.

// begin lets the first turn begin when the client has sent something.
func (c *conn) begin() {
	c.awaitHead()
	c.readDue.Store(c.due)
	if !c.Await(c.next) {
		go c.turn(nil) // ends with the connection
	}
}

// turn is one turn.
func (c *conn) turn(t *socket.Task) {
	c.task, c.resting = t, false
	c.Bind(t)
	c.l.takeH1().lend(c)
	socket.Uses(t, c)
	socket.Uses(t, c.h1)
	for (c.layer == nil || c.layer.state != nil || c.shakeHands()) && c.serve() {
		t.Return()
		if !c.isSilent() {
			t.Yield() // the next request may be there already, and one after the other; others have some, too
		}
	}
	c.recycle()
	if c.resting {
		c.Await(c.next) // the last use of c: the next turn may have begun
		return
	}
	_ = c.Close()
}

// rests says whether the turn ends before the next request: when the client has not sent anything of it yet. The wait for that
// goes on.
func (c *conn) rests() bool {
	c.resting = c.task != nil && c.isSilent()
	if c.resting {
		c.readDue.Store(c.due)
	}
	return c.resting
}

// isSilent says whether nothing has come of what follows, for all that is known without asking the system.
func (c *conn) isSilent() bool { return len(c.ahead) == 0 && c.Untouched() && c.drained() }
