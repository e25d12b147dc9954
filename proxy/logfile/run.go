package logfile

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// How lines reach the file; all of this runs in one goroutine.
//
//  1. wait until the queue is no longer empty;
//  2. drain: take the whole queue, write it; when that fails, again after a while;
//  3. pause, so that lines gather, unless the queue is filling up; back to 1.
//
// Orders (Flush, Reopen) and Close are obeyed in every wait.

// order is what a caller asks of run.
type order struct {
	do    func(w *Writer) error // called when what waits is in the file, or failed to get there
	reply chan error            // capacity 1
}

func (w *Writer) run() {
	defer close(w.done)
	for {
		if !w.wait(w.wake, 0) {
			return
		}
		for w.drain() != nil {
			if !w.wait(nil, retryPause) {
				return
			}
		}
		pause := gatherPause
		if len(w.batch) >= busyBatch {
			pause = busyPause
		}
		if !w.wait(w.hurry, pause) {
			return
		}
	}
}

// wait returns true when there is something in ready or the time has passed (0: none), and false after Close.
func (w *Writer) wait(ready <-chan struct{}, limit time.Duration) bool {
	var due <-chan time.Time
	if limit > 0 {
		w.timer.Reset(limit)
		due = w.timer.C
	}
	for {
		select {
		case <-ready:
			return true
		case <-due:
			return true
		case o := <-w.orders:
			o.reply <- w.obey(o)
		case <-w.clock.C:
			w.tick()
		case <-w.quit:
			w.finish()
			return false
		}
	}
}

// drain writes what is left of the last batch and then what waits in the queue.
func (w *Writer) drain() error {
	if err := w.writeBatch(); err != nil {
		return err
	}
	w.mu.Lock()
	w.batch, w.queue = w.queue, w.batch[:0]
	lost := w.lost
	w.lost = 0
	w.mu.Unlock()

	w.written = 0
	if lost > 0 {
		w.batch = w.opts.Lost(w.batch, lost, w.err)
		w.err = nil
	}
	return w.writeBatch()
}

func (w *Writer) writeBatch() error {
	for w.written < len(w.batch) {
		lines := w.batch[w.written:]
		if w.written == 0 || w.batch[w.written-1] == '\n' {
			lines = w.portion(lines)
		}
		n, err := w.file.Write(lines)
		w.written += n
		w.size += int64(n)
		if err != nil {
			w.err = err
			if !w.refused {
				w.refused = true
				w.opts.Refused(err)
			}
			return err
		}
		w.refused = false
	}
	return nil
}

// obey writes what waits, which is also before anything else that is asked.
func (w *Writer) obey(o order) error {
	_ = w.drain() // An error is met again by what follows, or is over then.
	return o.do(w)
}

// reopen goes on in a new file. One that could not be written is left behind; its lines follow in the new one.
func (w *Writer) reopen() error {
	file, err := open(w.path)
	if err != nil {
		return err
	}
	_ = w.file.Close()
	w.file = file
	w.begin()
	w.written = bytes.LastIndexByte(w.batch[:w.written], '\n') + 1 // A line that was cut begins anew.
	return w.drain()
}

// finish writes what waits and closes the file; what cannot be written is lost.
func (w *Writer) finish() {
	w.timer.Stop()
	w.clock.Stop()
	err := w.drain()
	if err != nil {
		w.mu.Lock()
		lines := bytes.Count(w.batch[w.written:], []byte{'\n'}) + bytes.Count(w.queue, []byte{'\n'})
		w.mu.Unlock()
		w.dropped.Add(uint64(lines))
		err = fmt.Errorf("close log file, %d lines lost: %w", lines, err)
	}
	if w.path != "" {
		if closed := w.file.Close(); err == nil {
			err = closed
		}
	}
	w.err = err
}

// ask gives run an order and waits for its end, both together no longer than patience.
func (w *Writer) ask(o order) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case w.orders <- o:
	case <-w.done:
		return os.ErrClosed
	case <-limit.C:
		return errHangs
	}
	select {
	case err := <-o.reply:
		return err
	case <-limit.C:
		return errHangs
	}
}
