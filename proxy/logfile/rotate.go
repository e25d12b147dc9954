package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"
)

// How a file is put aside; all but the last step happens in run's goroutine, between two lines.
//
//  1. portion cuts the lines that wait so that the file stays within its size, and sees that its time has come;
//  2. rotate renames the file to path.20060102-150405, opens a new one and closes the old;
//  3. tidy.go compresses what was put aside and removes the oldest, in a goroutine of its own.
//
// When 2 fails, the lines go on to the same file and the next try is a minute later.

// Rotate says when the file is put aside and a new one begun, and what becomes of the old. The zero value is never.
type Rotate struct {
	// Size is what a file may have, in bytes; only a line that is longer alone makes a larger one. 0: any size.
	Size int64
	// Every is how long a file is written, aligned to local midnight: 24h is from midnight to midnight, 1h from hour to
	// hour, 168h from Monday to Sunday. A file that is empty stays. 0: for ever.
	Every    time.Duration
	Keep     int  // how many old files stay, the newest; 0: all
	Compress bool // old files are compressed to .gz
}

const (
	stampForm = "20060102-150405" // local time, so that names sort by age

	// rotateRetry is the pause after a failed rotation: another program has the file open, or a folder has lost its
	// permissions; neither is over in a second, and neither is worth a longer wait.
	rotateRetry = time.Minute

	// turnCheck bounds the timer, since the wall clock may be set or the machine be asleep.
	turnCheck = time.Minute
)

var errNotRegular = errors.New("it is no regular file")

// SetRotate changes when the file is put aside, with the next line at the latest.
func (w *Writer) SetRotate(r Rotate) error {
	w.rotation.Store(&r)
	signal(w.untidy)
	return w.ask(order{do: func(w *Writer) error { w.begin(); return nil }, reply: make(chan error, 1)})
}

// begin notes the state of the file that is written from now on.
func (w *Writer) begin() {
	w.size, w.turn, w.again = 0, time.Time{}, time.Time{}
	since := time.Now()
	if info, err := w.file.Stat(); err == nil && info.Size() > 0 {
		w.size, since = info.Size(), info.ModTime()
	}
	if every := w.rotation.Load().Every; every > 0 && w.path != "" {
		w.turn = nextTurn(since.Local(), every)
	}
	w.arm()
}

// arm sets the timer for a file that nobody writes to.
func (w *Writer) arm() {
	if w.turn.IsZero() {
		w.clock.Stop()
		return
	}
	w.clock.Reset(max(min(time.Until(w.turn), turnCheck), time.Millisecond))
}

// tick puts a file aside whose time has come while nothing is to be written.
func (w *Writer) tick() {
	switch {
	case w.written < len(w.batch): // a line is half written
	case w.isDue(0):
		w.rotate()
	case w.size == 0 && !w.turn.IsZero() && !time.Now().Before(w.turn):
		w.begin()
	}
	w.arm()
}

// portion returns those of the lines that go to the file now, after putting the one before aside if it is time.
func (w *Writer) portion(lines []byte) []byte {
	first := bytes.IndexByte(lines, '\n') + 1
	if first == 0 {
		first = len(lines)
	}
	if w.isDue(first) {
		w.rotate()
	}
	limit := w.rotation.Load().Size
	room := limit - w.size
	if limit == 0 || w.path == "" || room >= int64(len(lines)) || time.Now().Before(w.again) {
		return lines
	}
	return lines[:max(first, bytes.LastIndexByte(lines[:max(room, 0)], '\n')+1)]
}

// isDue says whether to put the file aside before n bytes more.
func (w *Writer) isDue(n int) bool {
	if w.path == "" || w.size == 0 {
		return false
	}
	limit, now := w.rotation.Load().Size, time.Now()
	full := limit > 0 && w.size+int64(n) > limit
	old := !w.turn.IsZero() && !now.Before(w.turn)
	return (full || old) && !now.Before(w.again)
}

// rotate puts the file aside. An error is told once, until it has worked again.
func (w *Writer) rotate() {
	if err := w.putAside(); err != nil {
		w.again = time.Now().Add(rotateRetry)
		if !w.told {
			w.told = true
			w.opts.Failed(fmt.Errorf("rotate %s: %w; it is written on, and tried again every minute", w.path, err))
		}
		return
	}
	w.told = false
	w.begin()
	signal(w.untidy)
}

func (w *Writer) putAside() error {
	info, err := os.Lstat(w.path)
	old := ""
	switch {
	case errors.Is(err, fs.ErrNotExist): // somebody has renamed it: what is left is to open a new one
	case err != nil:
		return err
	case !info.Mode().IsRegular(): // a link, a device: not ours to rename
		return errNotRegular
	default:
		old = w.asideName()
		if err := os.Rename(w.path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := open(w.path)
	if err != nil {
		if old != "" {
			_ = os.Rename(old, w.path) // or the lines go on under the new name
		}
		return err
	}
	if old != "" {
		_ = file.Chmod(info.Mode().Perm()) // who may read the one may read the next; no reason to do without it
	}
	_ = w.file.Close()
	w.file = file
	return nil
}

// asideName returns the name for a file that is put aside now, which nothing has, compressed or not. Numbers grow within a second,
// though the file with the first one may be gone.
func (w *Writer) asideName() string {
	stamp := time.Now().Format(stampForm)
	if stamp == w.last.stamp {
		w.last.number++
	} else {
		w.last = aside{stamp: stamp}
	}
	for ; ; w.last.number++ {
		name := w.path + "." + stamp
		if w.last.number > 0 {
			name += "." + strconv.Itoa(w.last.number)
		}
		if !exists(name) && !exists(name+zipped) {
			return name
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// nextTurn returns the first turn of a period after t, by the clock of t's zone.
func nextTurn(t time.Time, every time.Duration) time.Time {
	_, offset := t.Zone()
	shift := time.Duration(offset) * time.Second
	clock := t.UTC().Add(shift).Truncate(every).Add(every) // the local clock, as if it were UTC
	if every%(24*time.Hour) == 0 {
		return time.Date(clock.Year(), clock.Month(), clock.Day(), 0, 0, 0, 0, t.Location())
	}
	return clock.Add(-shift).In(t.Location())
}
