package http1

import (
	"errors"
	"io"
	"net/http"

	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// A response is received in these steps:
//
//  1. readHead reads into Response.Buf until the head's blank line;
//  2. interim responses are skipped, but that a 103 is offered to the caller, and what is left of the request body is sent
//     or given up;
//  3. deliver copies status and fields;
//  4. the body's framing is set up, and what came with the head is decoded in place; the rest is read by body.Read.
//
// After a 101 switchOver takes the place of 3 and 4: the connection is left to the other protocol.

// maxInterim is how many interim responses (1xx) may precede the final one.
const maxInterim = 10

// Receive reads the head of the response, at most len(resp.Buf) bytes. It waits for nothing more than that, so that a
// body which trickles can be passed on as it comes.
func (p *Protocol) Receive(c *upstream.Conn, resp *upstream.Response) error {
	s := stateOf(c)
	rest, err := p.receiveHead(c, s, resp)
	switch {
	case err != nil:
	case s.head.status == http.StatusSwitchingProtocols:
		err = s.switchOver(resp, rest)
	default:
		if err = s.head.deliver(resp); err == nil {
			s.body.start(p, c, resp, s)
			resp.Prefix, err = s.body.prefix(rest)
		}
	}
	s.head.clear()
	return err
}

// switchOver takes a 101 over. What follows its head is not HTTP, whatever its fields say of a body.
func (s *state) switchOver(resp *upstream.Response, rest []byte) error {
	if s.sender.pending() {
		return invalid("upstream switched protocols before it had got the whole request")
	}
	if err := resp.Switch(s.head.value("upgrade")); err != nil {
		return err
	}
	resp.Length, resp.Prefix = -1, rest
	s.head.deliverFields(resp)
	return nil
}

// receiveHead parses the final head into s.head and returns what follows it in the buffer.
func (p *Protocol) receiveHead(c *upstream.Conn, s *state, resp *upstream.Response) (rest []byte, err error) {
	buf, n := resp.Buf, 0
	for range maxInterim + 1 {
		c.Phase = upstream.ReadingHead
		var end int
		if end, n, err = readHead(c, buf, n); err != nil {
			return nil, err
		}
		if err := s.head.parse(buf[:end]); err != nil {
			return nil, err
		}
		if s.head.status < 100 || s.head.status >= 200 || s.head.status == http.StatusSwitchingProtocols {
			s.settle()
			return buf[end:n], nil
		}
		if s.head.status == http.StatusEarlyHints {
			resp.PassEarly(s.head.fields)
		}
		n = copy(buf, buf[end:n])
		if err := c.Answering(p.sendBody(c, &s.sender)); err != nil {
			return nil, err
		}
	}
	return nil, invalid("upstream sent too many interim responses")
}

// readHead reads until buf has a whole head; n bytes are there already. It returns the head's length and that of all.
func readHead(c *upstream.Conn, buf []byte, n int) (end, total int, err error) {
	for searched := 0; ; {
		if !beginsWell(buf[:n]) {
			return 0, n, noHeader()
		}
		if end = headEnd(buf[:n], searched); end >= 0 {
			return end, n, nil
		}
		if n == len(buf) {
			return 0, n, upstream.TooBigHeader()
		}
		searched = n
		read, err := c.Read(buf[n:])
		if errors.Is(err, io.EOF) {
			return 0, n, upstream.ClosedEarly(upstream.ReadingHead)
		}
		if err != nil {
			return 0, n, err
		}
		n += read
	}
}

// settle gives up the rest of the request body when the peer refuses the request or closes. Another peer may be answering
// while it reads, so it gets the rest in the pauses of its answer; see body.Read.
func (s *state) settle() {
	if s.sender.more() && (s.head.status >= 300 || s.head.close) {
		s.sender.abandon()
	}
}

// deliver copies the status and the fields into the response.
func (h *head) deliver(resp *upstream.Response) error {
	if err := resp.SetStatus(h.status); err != nil {
		return err
	}
	h.deliverFields(resp)
	return nil
}

// deliverFields copies the fields into the response, but for those of the connection.
func (h *head) deliverFields(resp *upstream.Response) {
	if h.named {
		for i := range h.fields {
			if f := &h.fields[i]; httpfield.Is(f.Name, "connection") {
				resp.NameConnection(f.Value)
			}
		}
	}
	for i := range h.fields {
		resp.AddField(h.fields[i].Name, h.fields[i].Value)
	}
}
