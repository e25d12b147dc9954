package buffering

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// The classes of the free lists: powers of two from 1 KiB, nginx's smallest sensible buffer, to 1 MiB. Larger buffers
// are rare enough to be made and dropped.
const (
	smallestClass = 10 // log2 of 1 KiB
	largestClass  = 20 // log2 of 1 MiB
)

// Arena owns all buffers of the process and their memory budget, and recycles buffers, pipes and bodies. It is safe for
// concurrent use. Recycled memory that nobody uses does not count; the garbage collector takes it back in time.
type Arena struct {
	budget atomic.Int64 // 0 = no limit
	inUse  atomic.Int64

	classes [largestClass - smallestClass + 1]sync.Pool // of *Buffer
	pipes   sync.Pool                                   // of *Pipe, reset
	bodies  sync.Pool                                   // of *Body, reset
}

// NewArena returns an arena with a budget in bytes; 0 means no limit.
func NewArena(budget int64) *Arena {
	a := &Arena{}
	a.budget.Store(budget)
	return a
}

// Get returns an empty buffer of size bytes, even beyond the budget: it is for the one buffer without which an exchange
// can do nothing (nginx's buffer_size). Give it back with Put.
func (a *Arena) Get(size int) *Buffer {
	footprint := footprintOf(size)
	a.inUse.Add(footprint)
	return a.buffer(size, footprint)
}

// TryGet returns an empty buffer of size bytes, or nil when that would exceed the budget. Give it back with Put.
func (a *Arena) TryGet(size int) *Buffer {
	footprint := footprintOf(size)
	for {
		used := a.inUse.Load()
		if budget := a.budget.Load(); budget > 0 && used+footprint > budget {
			return nil
		}
		if a.inUse.CompareAndSwap(used, used+footprint) {
			return a.buffer(size, footprint)
		}
	}
}

// Put takes a buffer back; nothing may use its memory any more. It panics when the buffer was put before.
func (a *Arena) Put(b *Buffer) {
	if !b.lent.CompareAndSwap(true, false) {
		panic("buffering: buffer put twice")
	}
	footprint := int64(cap(b.memory))
	a.inUse.Add(-footprint)
	b.reset()
	if class, ok := classOf(int(footprint)); ok {
		a.classes[class].Put(b)
	}
}

// InUse returns the bytes of all buffers that are lent at the moment, each rounded up to its size class.
func (a *Arena) InUse() int64 { return a.inUse.Load() }

// Budget returns the limit that TryGet keeps, in bytes; 0 means no limit.
func (a *Arena) Budget() int64 { return a.budget.Load() }

// SetBudget changes the limit; 0 means none. What is lent stays lent: below InUse, TryGet has nothing until enough came back.
func (a *Arena) SetBudget(budget int64) { a.budget.Store(budget) }

// buffer finds or makes a buffer whose memory has been accounted for.
func (a *Arena) buffer(size int, footprint int64) *Buffer {
	b := a.recycled(size)
	if b == nil {
		b = &Buffer{memory: make([]byte, footprint)}
	}
	b.B = b.memory[:size:size]
	b.lent.Store(true)
	return b
}

func (a *Arena) recycled(size int) *Buffer {
	class, ok := classOf(size)
	if !ok {
		return nil
	}
	b, _ := a.classes[class].Get().(*Buffer)
	return b
}

// classOf returns the index of the free list for size bytes, and false for sizes that have none.
func classOf(size int) (int, bool) {
	log := bits.Len(uint(max(size, 1) - 1))
	return max(log-smallestClass, 0), log <= largestClass
}

// footprintOf returns how much memory a buffer of size bytes takes.
func footprintOf(size int) int64 {
	if class, ok := classOf(size); ok {
		return 1 << (class + smallestClass)
	}
	return int64(size)
}
