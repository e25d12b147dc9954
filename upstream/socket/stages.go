//go:build linux && (amd64 || arm64)

package socket

// A turn of a loop has stages:
//
//  1. It receives what has come, for those who have waited for it without memory to read into (ahead.go).
//  2. Tasks go on, one after the other: first those that were in the middle of something, then those that begin.
//  3. It sends what they have posted (post.go).
//
// So the same code, the kernel's or ours, runs many times in a row and finds itself in the processor's caches: each call into the kernel
// drives a part of ours out of them, and the other way round. BenchmarkStages shows what that gives.

// stages is what the first and the last stage have to do.
type stages struct {
	incoming []*descriptor // of each, somebody waits for the loop to wake him
	outgoing []*descriptor // each is held
}

// arrived notes that there may be something to read.
func (d *descriptor) arrived() {
	switch l := d.loop; d.in.claim() {
	case awaited:
		d.in.wakeUp(l, l)
	case awaitedBare:
		l.incoming = append(l.incoming, d)
	}
}

// receiveAll is the first stage, and says whose turn it is.
func (l *loop) receiveAll() {
	begin := l.incoming[:0]
	for _, d := range l.incoming {
		d.receiveAhead()
		if d.in.job == nil {
			d.in.wakeUp(l, l)
		} else {
			begin = append(begin, d)
		}
	}
	for _, d := range begin {
		d.in.wakeUp(l, l)
	}
	clear(l.incoming)
	l.incoming = l.incoming[:0]
}

// sendAll is the last stage.
func (l *loop) sendAll() {
	for i, d := range l.outgoing {
		l.outgoing[i] = nil
		d.deliver()
		d.release()
	}
	l.outgoing = l.outgoing[:0]
}
