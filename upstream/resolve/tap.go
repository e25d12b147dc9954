package resolve

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// tap is one lookup of a net.Resolver: it gives it connections to the servers, and reads along. net.Resolver promises messages
// as in RFC 1035 section 4.2.1 on a connection that is a net.PacketConn, and as in RFC 7766 section 5, each behind its length, on
// every other one.
type tap struct {
	r *Resolver

	mu    sync.Mutex // guards all below
	dials uint64     // servers asked
	begin uint64     // the first of them
	last  string     // the address of the last one
	least uint32     // the smallest TTL that was seen, in seconds
	seen  bool       // there was one
}

func (r *Resolver) newTap() *tap { return &tap{r: r, begin: r.first.Load()} }

// ttl returns how long what was answered is good, 0 when nothing said so. A TTL of 0 is a nanosecond.
func (t *tap) ttl() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.seen {
		return 0
	}
	return max(time.Duration(t.least)*time.Second, 1)
}

// ended lets the next lookup begin with the server after the last one, when that did not answer. The error that it returns names
// the server that was asked last; net.Resolver knows only that of the system, if any.
func (t *tap) ended(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dials == 0 {
		return err
	}
	if failure, ok := errors.AsType[*net.DNSError](err); ok {
		failure.Server = t.last
	}
	next := t.begin + t.dials - 1
	if err != nil && !notFound(err) {
		next++
	}
	t.r.first.Store(next)
	return err
}

// dial connects to a server, the next one for each message. address is one of the system's, which counts without others; a
// truncated answer is asked for once more, by TCP, at the same server.
func (t *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	address = t.server(network, address)
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// Half of the time for each of the two tries that there are at least: packets get lost.
	patience := time.Now().Add(t.r.timeout / 2)
	if packets, ok := conn.(*net.UDPConn); ok {
		return &packetConn{UDPConn: packets, tapped: tapped{tap: t, patience: patience}}, nil
	}
	return &streamConn{Conn: conn, tapped: tapped{tap: t, patience: patience}}, nil
}

// server returns the address of the server that is next.
func (t *tap) server(network, systems string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !strings.HasPrefix(network, "tcp") || t.dials == 0 {
		t.dials++
	}
	t.last = systems
	if servers := t.r.servers; len(servers) > 0 {
		t.last = servers[(t.begin+t.dials-1)%uint64(len(servers))]
	}
	return t.last
}

// tapped is the part that both sorts of connections have.
type tapped struct {
	tap      *tap
	patience time.Time
	asked    dnsmessage.Header
	question dnsmessage.Question
}

// deadline returns the earlier of two.
func (c *tapped) deadline(wanted time.Time) time.Time {
	if c.patience.Before(wanted) {
		return c.patience
	}
	return wanted
}

// ask notes the question that is sent.
func (c *tapped) ask(message []byte) {
	var p dnsmessage.Parser
	if asked, err := p.Start(message); err == nil {
		c.asked = asked
		c.question, _ = p.Question()
	}
}

// answer reads the TTLs of an answer. What does not answer the question says nothing: net.Resolver does not heed it either.
func (c *tapped) answer(message []byte) {
	least, ok := leastTTL(message, c.asked.ID, c.question)
	if !ok {
		return
	}
	t := c.tap
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.seen || least < t.least {
		t.least, t.seen = least, true
	}
}

// leastTTL returns the smallest TTL in the answer section of a message that answers the question; not ok when it does not, or
// has no answer.
func leastTTL(message []byte, id uint16, question dnsmessage.Question) (least uint32, ok bool) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.ID != id || header.RCode != dnsmessage.RCodeSuccess {
		return 0, false
	}
	answered, err := p.Question()
	if err != nil || answered.Type != question.Type || answered.Class != question.Class ||
		!strings.EqualFold(answered.Name.String(), question.Name.String()) || p.SkipAllQuestions() != nil {
		return 0, false
	}
	for {
		answer, err := p.AnswerHeader()
		if err != nil || p.SkipAnswer() != nil {
			return least, ok // the end, or net.Resolver complains of it
		}
		if !ok || answer.TTL < least {
			least, ok = answer.TTL, true
		}
	}
}

// packetConn is a connection on which each write and each read is a message.
type packetConn struct {
	*net.UDPConn
	tapped
}

func (c *packetConn) SetDeadline(t time.Time) error { return c.UDPConn.SetDeadline(c.deadline(t)) }

func (c *packetConn) Write(b []byte) (int, error) {
	c.ask(b)
	return c.UDPConn.Write(b)
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err == nil {
		c.answer(b[:n])
	}
	return n, err
}

// streamConn is a connection on which a message follows its length in two bytes.
type streamConn struct {
	net.Conn
	tapped

	read []byte
}

func (c *streamConn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(c.deadline(t)) }

func (c *streamConn) Write(b []byte) (int, error) {
	if len(b) > 2 {
		c.ask(b[2:])
	}
	return c.Conn.Write(b)
}

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = append(c.read, b[:n]...)
	if len(c.read) >= 2 {
		if length := int(c.read[0])<<8 | int(c.read[1]); len(c.read) == 2+length {
			c.answer(c.read[2:])
		}
	}
	return n, err
}
