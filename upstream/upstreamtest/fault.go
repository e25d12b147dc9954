package upstreamtest

import (
	"bytes"
	"net"
	"slices"
	"time"
)

// player plays one answer, and goes wrong where it is to.
//
//  1. play decides what is declared and what is sent, and handles what goes wrong before a single byte
//  2. playHead sends the head, or a part
//  3. playBody sends the two halves of the body and what ends it
//  4. finish decides about the connection
type player struct {
	conn   net.Conn
	wire   Wire
	req    *Request
	answer *Answer

	closing <-chan struct{} // the server's: nothing waits any longer
}

// surplus is what LongBody and StrayBytes send too much; it looks like an answer, so that a proxy which takes it for one
// is found out.
const surplus = "HTTP/1.1 299 Stray\r\nContent-Length: 5\r\n\r\nSTRAY"

// play returns whether the connection stays open.
func (p *player) play() bool {
	if p.answer.Raw != nil {
		return p.playRaw()
	}
	switch p.answer.Fault {
	case Silent:
		drain(p.conn)
		return false
	case CloseBeforeHead:
		return false
	case ResetBeforeHead:
		return p.reset()
	case Garbage:
		p.write(p.wire.garbage())
		return false
	default:
		return p.playHead() && p.playBody() && p.finish()
	}
}

// playRaw sends what is no answer of the language's own.
func (p *player) playRaw() bool {
	p.write(p.answer.Raw)
	if p.answer.Fault == HangInBody {
		drain(p.conn)
	}
	return false
}

// playHead returns whether there is more to send.
func (p *player) playHead() bool {
	a := p.answer
	length := len(a.Body)
	switch {
	case a.Undeclared:
		length = -1
	case a.Fault == ShortBody:
		length += 10
	}
	if a.Fault == HugeHead {
		a.Header = append(slices.Clone(a.Header), Field{Name: "X-Huge", Value: string(bytes.Repeat([]byte{'h'}, 64<<10))})
	}
	head := p.wire.head(p.req, a, length)
	if a.Stderr != "" {
		head = append(p.wire.stderr(p.req, a.Stderr), head...)
	}
	switch a.Fault {
	case HangInHead:
		p.write(head[:len(head)/2])
		drain(p.conn)
		return false
	case CloseInHead:
		p.write(head[:len(head)/2])
		return false
	default:
		p.write(head)
		return true
	}
}

// playBody returns whether the response was sent to its end.
func (p *player) playBody() bool {
	a := p.answer
	half := len(a.Body) / 2
	p.write(p.wire.part(p.req, a, a.Body[:half]))
	if a.Gate != nil {
		select {
		case <-a.Gate:
		case <-p.closing:
		}
	}
	switch a.Fault {
	case HangInBody:
		drain(p.conn)
		return false
	case CloseInBody:
		return false
	case ResetInBody:
		return p.reset()
	default:
	}
	rest := p.wire.part(p.req, a, a.Body[half:])
	if a.Fault == LongBody {
		rest = append(rest, p.wire.part(p.req, a, []byte(surplus))...)
	}
	rest = append(rest, p.wire.end(p.req, a)...)
	if a.Fault == StrayBytes {
		rest = append(rest, surplus...)
	}
	p.write(rest)
	return true
}

// finish returns whether the connection stays open after a whole response.
func (p *player) finish() bool {
	switch p.answer.Fault {
	case CloseAfter, ShortBody, EarlyClose:
		return false
	case EarlyAnswer:
		if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		drain(p.conn)
		return false
	default:
		return p.req.KeepAlive
	}
}

// moment is what Trickle waits between two bytes.
const moment = 2 * time.Millisecond

// write sends b. An error is of no interest: the next read finds it.
func (p *player) write(b []byte) {
	if p.answer.Fault != ByteByByte && p.answer.Fault != Trickle {
		_, _ = p.conn.Write(b)
		return
	}
	for i := range b {
		_, _ = p.conn.Write(b[i : i+1])
		if p.answer.Fault == Trickle {
			select {
			case <-time.After(moment):
			case <-p.closing:
			}
		}
	}
}

// reset ends the connection with a reset instead of an orderly close.
func (p *player) reset() bool {
	if tc, ok := p.conn.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	return false
}
