package buffering

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ErrAborted is what the fill side gets when the deliver side of a pipe is gone.
var ErrAborted = errors.New("buffering: deliver side gone")

// Limits bound what one exchange may hold; they are nginx's directives without their module prefix.
type Limits struct {
	BufferSize    int   // buffer_size: for the head and the first bytes; a pipe takes that buffer over (Take), it makes none
	Buffers       int   // N of buffers: how many a pipe gets at most, besides those handed over; below 1: 1
	BufferBytes   int   // S of buffers: the size of each; below 1: 8 KiB
	BusySize      int64 // busy_buffers_size: bytes on their way to the client at most; below 1: two buffers
	MaxTempFile   int64 // max_temp_file_size: bytes in the spill file at most; below 1: nothing is spilled
	TempFileWrite int64 // temp_file_write_size: bytes spilled at once, but at least one buffer; below 1: two buffers
}

// PipeOptions says what a pipe works with.
type PipeOptions struct {
	Arena  *Arena
	Dir    *SpillDir // nil: never spill
	Limits Limits

	// OnSpill is called once, when the spill file is created, by the goroutine that fills; no lock is held. The path is
	// for the log: the file has no name on Unix. nil: nobody wants to know.
	OnSpill func(path string)

	// OnSpillError is called once, at the first failure to spill, like OnSpill. The body is not harmed: the peer is
	// read at the speed of the client. nil: nobody wants to know.
	OnSpillError func(error)
}

// Pipe holds one response body between the peer, which fills it, and the client, to which it is delivered. doc.go has
// the rules of its two sides.
type Pipe struct {
	opts PipeOptions // set by NewPipe, read only

	filled  chan struct{} // wakes the deliver side
	drained chan struct{} // wakes the fill side
	timer   *time.Timer   // of the fill side, nil until it is needed first
	pieces  [][]byte      // of the deliver side: memory that is being written
	vector  net.Buffers   // of the deliver side: the rest of pieces during a vectored write

	mu        sync.Mutex // guards all below
	pipeState            // the zero value is an empty pipe with both sides at work
}

// pipeState is all of a pipe that a life changes. The order of the bytes is out, file, in.
type pipeState struct {
	out   queue   // buffers that the deliver side has taken
	in    queue   // buffers behind the file's bytes
	tail  *Buffer // the last buffer of in, or of out if in and the file are empty; nil: more bytes need a new buffer
	owned int     // buffers got from the arena, without those handed over; a large one stands for several

	reading  bool // the fill side uses the room of tail; no lock is held
	lastRead int  // bytes of the last read

	file     *spillFile // nil until the first spill
	fileR    int64      // read offset in the file
	fileW    int64      // write offset
	moving   bool       // one side writes or empties the file; no lock is held
	failedAt time.Time  // the last failure to spill
	reported bool       // OnSpillError was called
	spilled  int64      // bytes so far

	client   asked // what WriteTo writes to; nil: it cannot be asked, or nobody delivers yet
	patience patience

	fillWaits    bool // for a token in drained
	deliverWaits bool // for a token in filled

	closed   bool  // the fill side has ended ...
	closeErr error // ... with this error; nil: the body is complete
	freed    bool  // the deliver side has ended
	aborted  error // why nothing more is delivered; nil: it goes on
}

// NewPipe returns an empty pipe, a recycled one if there is one. Its fill side must end with Fill or CloseWrite and its
// deliver side with Free.
func NewPipe(opts PipeOptions) *Pipe {
	opts.Limits = opts.Limits.withDefaults()
	p, _ := opts.Arena.pipes.Get().(*Pipe)
	if p == nil {
		p = &Pipe{filled: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
	}
	p.opts = opts
	p.closed, p.freed = false, false
	return p
}

func (l Limits) withDefaults() Limits {
	if l.BufferBytes < 1 {
		l.BufferBytes = 8 << 10 // nginx: a page, 4 or 8 KiB
	}
	l.Buffers = max(l.Buffers, 1)
	if l.BusySize < 1 {
		l.BusySize = 2 * int64(l.BufferBytes)
	}
	if l.TempFileWrite < 1 {
		l.TempFileWrite = 2 * int64(l.BufferBytes)
	}
	return l
}

// Spilled returns how many bytes went through the spill file so far. Either side may ask until its end.
func (p *Pipe) Spilled() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spilled
}

// Abort says that nothing more will be delivered, and why: Fill returns ErrAborted as soon as its reader returns (the
// caller closes the connection that it waits for), WriteTo and Read return err. Any goroutine may call it, before Free.
func (p *Pipe) Abort(err error) {
	if err == nil {
		err = ErrAborted
	}
	p.mu.Lock()
	if p.aborted == nil {
		p.aborted = err
	}
	p.wakeFill()
	p.wakeDeliver()
	p.mu.Unlock()
}

// CloseWrite ends the fill side; it is for a fill side that ends without Fill, which calls it itself. With nil the
// body is complete; otherwise the deliver side gets err after the bytes that came before it.
func (p *Pipe) CloseWrite(err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		panic("buffering: pipe closed twice")
	}
	p.closed, p.closeErr = true, err
	p.wakeDeliver()
	last := p.freed
	p.mu.Unlock()
	if last {
		p.recycle()
	}
}

// Free ends the deliver side; what was not delivered is dropped. If the fill side is still at work it gets ErrAborted.
func (p *Pipe) Free() {
	p.mu.Lock()
	if p.freed {
		p.mu.Unlock()
		panic("buffering: pipe freed twice")
	}
	p.freed = true
	if p.aborted == nil {
		p.aborted = ErrAborted
	}
	p.wakeFill()
	last := p.closed
	p.mu.Unlock()
	if last {
		p.recycle()
	}
}

// recycle gives all back. Both sides have ended, so no lock is needed.
func (p *Pipe) recycle() {
	arena := p.opts.Arena
	p.out.free(arena)
	p.in.free(arena)
	if p.file != nil {
		p.file.close()
	}
	clear(p.pieces[:cap(p.pieces)])
	takeToken(p.filled)
	takeToken(p.drained)
	p.opts = PipeOptions{}
	// Both sides stay marked as ended until NewPipe, so that a second Free is noticed.
	p.pipeState = pipeState{closed: true, freed: true}
	arena.pipes.Put(p)
}

// wakeFill lets the fill side look again; mu is held.
func (p *Pipe) wakeFill() {
	if p.fillWaits {
		p.fillWaits = false
		putToken(p.drained)
	}
}

// wakeDeliver lets the deliver side look again; mu is held.
func (p *Pipe) wakeDeliver() {
	if p.deliverWaits {
		p.deliverWaits = false
		putToken(p.filled)
	}
}

// putToken and takeToken never block: a channel holds one token at most, and one too many only makes a side look again.
func putToken(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func takeToken(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}
