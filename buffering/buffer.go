package buffering

import "sync/atomic"

// Buffer is one piece of memory of an Arena. Its bytes are B[R:W]; B[W:] is room for more. One goroutine uses it at a
// time, except that a Pipe fills the room of a buffer whose bytes are being delivered.
type Buffer struct {
	B    []byte // all of the memory; len and cap are the size that was asked for
	R, W int    // what was read and what was written so far; 0 <= R <= W <= len(B)

	memory []byte      // what B was cut from, of the size of its class
	lent   atomic.Bool // between Get and Put
	next   *Buffer     // in the queue that it is in
	extra  bool        // handed over to a pipe, so not one of its own buffers
}

// Bytes returns what is in the buffer and was not read yet. It is borrowed memory, valid until the buffer is put.
func (b *Buffer) Bytes() []byte { return b.B[b.R:b.W] }

// Room returns the part of the memory that holds nothing yet; who writes to it adds the number of bytes to W.
func (b *Buffer) Room() []byte { return b.B[b.W:] }

// Len returns the number of bytes that Bytes returns.
func (b *Buffer) Len() int { return b.W - b.R }

func (b *Buffer) empty() bool { return b.R == b.W }
func (b *Buffer) full() bool  { return b.W == len(b.B) }

func (b *Buffer) reset() {
	b.B, b.R, b.W, b.next, b.extra = nil, 0, 0, nil, false
}

// queue is a first-in, first-out list of buffers that allocates nothing. A buffer is in one queue at most.
type queue struct {
	first, last *Buffer
}

func (q *queue) push(b *Buffer) {
	b.next = nil
	if q.first == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
}

// pop removes the first buffer; the queue must not be empty.
func (q *queue) pop() *Buffer {
	b := q.first
	q.first = b.next
	if q.first == nil {
		q.last = nil
	}
	b.next = nil
	return b
}

// prepend moves all buffers of front, in their order, before those of q.
func (q *queue) prepend(front queue) {
	if front.first == nil {
		return
	}
	front.last.next = q.first
	if q.first == nil {
		q.last = front.last
	}
	q.first = front.first
}

// free gives all buffers back.
func (q *queue) free(a *Arena) {
	for q.first != nil {
		a.Put(q.pop())
	}
}
