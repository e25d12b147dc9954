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

// order is what a caller asks of run: to flush and, if file is set, to go on in that file.
type order struct {
	file  *os.File
	reply chan error // capacity 1
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
		if !w.wait(w.hurry, gatherPause) {
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
	if w.written == len(w.batch) {
		return nil
	}
	n, err := w.file.Write(w.batch[w.written:])
	w.written += n
	if err != nil {
		w.err = err
	}
	return err
}

// obey carries out an order.
func (w *Writer) obey(o order) error {
	err := w.drain()
	if o.file == nil {
		return err
	}
	_ = w.file.Close() // A file that could not be written is left behind; its lines follow in the new one.
	w.file = o.file
	w.written = bytes.LastIndexByte(w.batch[:w.written], '\n') + 1 // A line that was cut begins anew.
	return w.drain()
}

// finish writes what waits and closes the file; what cannot be written is lost.
func (w *Writer) finish() {
	w.timer.Stop()
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
		return o.cancel(os.ErrClosed)
	case <-limit.C:
		return o.cancel(errHangs)
	}
	select {
	case err := <-o.reply:
		return err
	case <-limit.C:
		return errHangs
	}
}

// cancel gives up an order that run has not taken.
func (o order) cancel(err error) error {
	if o.file != nil {
		_ = o.file.Close()
	}
	return err
}
