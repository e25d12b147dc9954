package cgi

import "spillway/upstream"

// Feed sends what is left of a request with next, piece by piece, as long as the peer has nothing to say. It returns whether
// the last piece was sent, and whether it is over with sending, for whatever reason. A connection that takes no more is no
// error: the peer may have answered before it closed.
func Feed(c *upstream.Conn, next func(*upstream.Conn) (done bool, err error)) (sent, over bool, err error) {
	for !over && !c.Readable() {
		phase := c.Phase
		c.Phase = upstream.Sending
		done, failed := next(c)
		c.Phase = phase
		sent, over = done && failed == nil, done || failed != nil
		if err := c.Answering(failed); err != nil {
			return sent, over, err
		}
	}
	return sent, over, nil
}
