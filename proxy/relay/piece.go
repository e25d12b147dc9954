package relay

import "spillway/buffering"

// piece is the memory in which a body is carried. It is large only while the peer fills it: one that sends little at a time, or
// nothing for long, holds little.
type piece struct {
	*buffering.Buffer

	arena        *buffering.Arena
	small, large int // sizes
}

// largePiece bounds what is read and written at once. A transfer of 64 KiB costs little more than its copying, and more is
// seldom there to be read: it is also what a TCP connection takes before its buffers have grown.
const largePiece = 64 << 10

// takePiece returns a piece for the rest of the response's body, within what its location may hold in memory.
func (r *run) takePiece() piece {
	limits := &r.h.opts.Limits
	p := piece{arena: r.h.opts.Arena, small: limits.BufferSize, large: limits.BufferSize}
	if !r.unbuffer {
		p.small = max(limits.BufferSize, limits.BufferBytes)
		p.large = max(p.small, min(largePiece, p.small*limits.Buffers))
	}
	p.fit(max(r.resp.Length-r.lastAttempt().ReceivedBody, int64(len(r.resp.Prefix))))
	return p
}

// fit prepares for the next read, when n bytes are to come, or came with the last one. Beyond the memory's budget the piece stays
// small.
func (p *piece) fit(n int64) {
	large := n >= int64(p.small)/2 && p.large > p.small
	if p.Buffer != nil && large == (len(p.B) == p.large) {
		return
	}
	var next *buffering.Buffer
	if large {
		next = p.arena.TryGet(p.large)
	}
	if next == nil && (p.Buffer == nil || len(p.B) > p.small) {
		next = p.arena.Get(p.small)
	}
	if next != nil {
		p.free()
		p.Buffer = next
	}
}

func (p *piece) free() {
	if p.Buffer != nil {
		p.arena.Put(p.Buffer)
		p.Buffer = nil
	}
}
