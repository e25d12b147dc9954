package buffering

import (
	"io"
	"math/bits"
	"time"
)

// The flow of the fill side:
//
//  1. room finds memory to read into: the rest of the tail, a new buffer, a large one for a fast peer (want), or, when all are
//     full, one that the client has taken (await) or that was written to the spill file (spill), after the client's word
//     (clientTakes).
//  2. The reader fills it, with no lock held.
//  3. commit makes the bytes visible to the deliver side, which may already be writing an earlier part of the buffer.

// spillRetry is how long a pipe leaves the disk alone after it failed: a full disk stays full for a while, and each
// attempt costs a system call.
const spillRetry = time.Second

// maxEmptyReads is how often in a row a reader may return nothing, as in bufio.
const maxEmptyReads = 100

// Take hands over a buffer with the first bytes in it, those that came with the head; nothing is copied, and the rest
// of its room is filled like that of the pipe's own buffers. The fill side calls it, before Fill.
func (p *Pipe) Take(b *Buffer) {
	if b.empty() {
		p.opts.Arena.Put(b)
		return
	}
	b.extra = true
	p.mu.Lock()
	p.in.push(b)
	p.tail = b
	p.wakeDeliver()
	p.mu.Unlock()
}

// Append copies b into the pipe, for bytes that are not in a buffer of their own. The fill side calls it, before Fill.
// Like Fill it waits for room; the error is ErrAborted.
func (p *Pipe) Append(b []byte) error {
	for len(b) > 0 {
		room, err := p.room()
		if err != nil {
			return err
		}
		n := copy(room, b)
		p.commit(n)
		b = b[n:]
	}
	return nil
}

// Fill reads r until its end and then ends the fill side. It returns nil after io.EOF (not wrapped: that is an error),
// the error of r, or ErrAborted when the deliver side is gone; the deliver side gets the same end. A reader that
// returns io.EOF together with its last bytes saves the wait for room that nobody needs.
func (p *Pipe) Fill(r io.Reader) error {
	err := p.readAll(r)
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a peer that closed too early, not the end of the body
		err = nil
	}
	p.CloseWrite(err)
	return err
}

// readAll returns the error that ended the reading, never nil.
func (p *Pipe) readAll(r io.Reader) error {
	empty := 0
	for {
		room, err := p.room()
		if err != nil {
			return err
		}
		n, err := r.Read(room)
		p.commit(n)
		if err != nil {
			return err
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads {
			return io.ErrNoProgress
		}
	}
}

// room returns memory to fill; commit must follow.
func (p *Pipe) room() ([]byte, error) {
	p.mu.Lock()
	for {
		if p.aborted != nil {
			p.mu.Unlock()
			return nil, ErrAborted
		}
		if (p.tail == nil || p.tail.full()) && !p.grow(p.want()) && !p.grow(1) {
			p.makeRoom()
			continue
		}
		p.reading = true
		room := p.tail.Room()
		p.mu.Unlock()
		return room, nil
	}
}

// commit ends the use of the room: n bytes are in it.
func (p *Pipe) commit(n int) {
	p.mu.Lock()
	p.reading = false
	p.tail.W += n
	p.lastRead = n
	if n > 0 {
		p.wakeDeliver()
	}
	p.mu.Unlock()
}

// want is how many buffers the next one stands for. A peer that has filled one by a single read has more: it is read, and its
// client is written to, in pieces as large as the limits allow, with as much memory again to read into meanwhile. A power of two
// takes no more memory than so many buffers. BenchmarkPipe/connections-8MiB.
func (p *Pipe) want() int {
	limits := &p.opts.Limits
	if p.lastRead < limits.BufferBytes {
		return 1
	}
	piece := min(limits.BusySize, limits.TempFileWrite, maxWrite)
	count := min(int(piece/int64(limits.BufferBytes)), limits.Buffers/2, limits.Buffers-p.owned)
	return 1 << max(0, bits.Len(uint(max(0, count)))-1)
}

// grow gets another buffer, which stands for count of them. A single one that is the first does not depend on the budget: without
// it the exchange could do nothing.
func (p *Pipe) grow(count int) bool {
	limits := &p.opts.Limits
	if p.owned+count > limits.Buffers {
		return false
	}
	b := p.opts.Arena.TryGet(count * limits.BufferBytes)
	if b == nil {
		if count > 1 || p.in.first != nil || p.out.first != nil {
			return false
		}
		b = p.opts.Arena.Get(limits.BufferBytes)
	}
	p.owned += count
	p.in.push(b)
	p.tail = b
	return true
}

// drop gives a buffer back to the arena; mu is held.
func (p *Pipe) drop(b *Buffer) {
	if b == p.tail {
		p.tail = nil
	}
	if !b.extra {
		p.owned -= len(b.B) / p.opts.Limits.BufferBytes
	}
	p.opts.Arena.Put(b)
}

// makeRoom waits, asks or spills once, whatever is due; all buffers are full. mu is held, but not during the wait, the
// question or the spill.
func (p *Pipe) makeRoom() {
	// As long as bytes are left in the file the client is behind, and to wait would only keep the peer.
	behind := p.fileR < p.fileW
	patience := p.patience.left()
	switch {
	case !p.maySpill():
		p.stall()
	case !behind && patience > 0:
		p.await(patience)
	case !behind && p.clientTakes():
	default:
		p.spill()
	}
}

// clientTakes says whether the client takes more at the moment, or has done so during the question: then there may be
// room. mu is held, but not during the question.
func (p *Pipe) clientTakes() bool {
	client, before := p.client, p.patience
	if client == nil {
		return false
	}
	p.mu.Unlock()
	writable := client.Writable()
	p.mu.Lock()
	if writable {
		p.patience.renew()
	}
	return p.patience != before || !p.maySpill()
}

// maySpill says whether a buffer could go to the file now. Buffers that the deliver side has taken stay in memory.
func (p *Pipe) maySpill() bool {
	b := p.in.first
	return b != nil && !p.moving && p.opts.Dir != nil &&
		p.fileW+int64(b.Len()) <= p.opts.Limits.MaxTempFile &&
		(p.failedAt.IsZero() || time.Since(p.failedAt) >= spillRetry)
}

// stall waits until the deliver side has freed something or is gone.
func (p *Pipe) stall() {
	p.fillWaits = true
	p.mu.Unlock()
	<-p.drained
	p.mu.Lock()
	p.fillWaits = false
}

// await is a stall of limited length, drawn from the patience.
func (p *Pipe) await(limit time.Duration) {
	p.patience.lend()
	p.fillWaits = true
	p.mu.Unlock()

	began := time.Now()
	if p.timer == nil {
		p.timer = time.NewTimer(limit)
	} else {
		p.timer.Reset(limit)
	}
	select {
	case <-p.drained:
	case <-p.timer.C:
	}
	p.timer.Stop()
	waited := time.Since(began)

	p.mu.Lock()
	p.fillWaits = false
	p.patience.repay(limit - waited)
}

// spill moves the oldest buffers that the deliver side has not taken to the file.
func (p *Pipe) spill() {
	batch := p.cut()
	p.moving = true
	offset := p.fileW
	p.mu.Unlock()

	end, err := p.writeFile(batch, offset)
	if err != nil && p.file != nil {
		p.file.cut(offset) // what was written of the batch stays in memory
	}
	report := err != nil && !p.reported && p.opts.OnSpillError != nil
	if report {
		p.opts.OnSpillError(err)
	}

	p.mu.Lock()
	p.moving = false
	if err != nil {
		p.failedAt = time.Now()
		p.reported = true
		p.in.prepend(batch)
		if p.fileW > 0 {
			p.emptyFile() // should the deliver side have come to its end meanwhile
		}
	} else {
		p.failedAt = time.Time{}
		p.spilled += end - offset
		p.fileW = end
		for batch.first != nil {
			p.drop(batch.pop())
		}
	}
	p.wakeDeliver()
}

// cut takes the leading buffers that go to the file in one go.
func (p *Pipe) cut() queue {
	limits := &p.opts.Limits
	atOnce := min(limits.TempFileWrite, limits.MaxTempFile-p.fileW)
	var batch queue
	var size int64
	for p.in.first != nil {
		n := int64(p.in.first.Len())
		if batch.first != nil && size+n > atOnce {
			break
		}
		size += n
		batch.push(p.in.pop())
	}
	return batch
}

// writeFile writes the buffers from offset on and returns where they end. No lock is held; moving keeps the deliver
// side from changing the file.
func (p *Pipe) writeFile(batch queue, offset int64) (end int64, err error) {
	if p.file == nil {
		p.file, err = p.opts.Dir.create()
		if err != nil {
			return offset, err
		}
		if p.opts.OnSpill != nil {
			p.opts.OnSpill(p.file.path())
		}
	}
	for b := batch.first; b != nil; b = b.next {
		if err := p.file.writeAt(b.Bytes(), offset); err != nil {
			return offset, err
		}
		offset += int64(b.Len())
	}
	return offset, nil
}
