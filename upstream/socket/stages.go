//go:build linux && (amd64 || arm64)

package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A turn of a loop has stages:
//
//  1. It receives what has come, for those who have waited for it without memory to read into (ahead.go): in one system call, if the
//     system lets us (ring.go), or else one by one.
//  2. Tasks go on, one after the other: first those that were in the middle of something, then those that begin.
//  3. It sends what they have posted (post.go), likewise.
//
// So the same code, the kernel's or ours, runs many times in a row and finds itself in the processor's caches: each call into the kernel
// drives a part of ours out of them, and the other way round. BenchmarkStages shows what that gives.

// stages is what the first and the last stage have to do.
type stages struct {
	incoming []*descriptor // of each, somebody waits for the loop to wake him
	outgoing []*descriptor // each is held
	row      []transfer    // of the present stage
}

// arrived notes that there may be something to read.
func (d *descriptor) arrived(l *loop) {
	switch d.in.claim() {
	case awaited:
		d.in.wakeUp(l)
	case awaitedBare:
		l.incoming = append(l.incoming, d)
	}
}

// transfer is one of a stage.
type transfer struct {
	d     *descriptor // held
	p     []byte      // what is sent, or room for what is received
	sends bool
	n     int           // how much it was
	errno syscall.Errno // EINTR: it has not been made yet
}

// receiveAll is the first stage, and says whose turn it is.
func (l *loop) receiveAll() {
	for _, d := range l.incoming {
		if d.hold() {
			l.row = append(l.row, transfer{d: d, p: d.makeRoom(), errno: unix.EINTR})
		}
	}
	l.transferAll((*descriptor).hasReceived)
	begin := l.incoming[:0]
	for _, d := range l.incoming {
		switch {
		case d.in.job == nil:
			d.in.wakeUp(l)
		case d.attended.Load() || d.ahead != nil || d.hungUp.Load(): // it was an event, or there is what a new client was looked at for
			begin = append(begin, d)
		default:
			d.awaitJob() // a client that has not asked yet
		}
	}
	for _, d := range begin {
		d.in.wakeUp(l)
	}
	l.incoming = emptied(l.incoming)
}

// sendAll is the last stage.
func (l *loop) sendAll() {
	for _, d := range l.outgoing {
		if p := d.lockLetter(); p != nil {
			l.row = append(l.row, transfer{d: d, p: p, sends: true, errno: unix.EINTR})
		} else {
			d.release()
		}
	}
	l.outgoing = emptied(l.outgoing)
	l.transferAll((*descriptor).unlockLetter)
}

// transferAll makes the transfers of the row, and has each descriptor note what came of its own. What was posted and could not be sent
// in the ring, unlockLetter sends.
func (l *loop) transferAll(note func(d *descriptor, n int, errno syscall.Errno)) {
	for row := l.row; l.ring != nil && len(row) > 1; {
		part := row[:min(len(row), ringSize)]
		made := l.ring.run(part, true)
		row = row[made:]
		if made < len(part) {
			l.ring = nil
		}
	}
	for i := range l.row {
		t := &l.row[i]
		if t.errno == unix.EINTR && !t.sends {
			t.n, t.errno = t.d.receive(t.p)
		}
		note(t.d, t.n, t.errno)
		t.d.release()
	}
	l.row = emptied(l.row)
}

// emptied is what is left of a list that was worked off: its memory.
func emptied[T any](list []T) []T {
	clear(list)
	return list[:0]
}
