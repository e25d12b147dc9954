package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Stderr is the Path that stands for the standard error of this process, as in nginx's error_log.
const Stderr = "stderr"

// Options say where the lines go.
type Options struct {
	Path   string   // of the file, or Stderr; missing folders are made
	File   *os.File // used instead of Path; Close leaves it open and Reopen leaves it alone
	Rotate Rotate   // when Path is put aside; not for File
	Buffer int      // bytes of lines that may wait for the disk, 0: 1 MiB; twice as much is held at most

	// Lost appends the line that stands for dropped ones; err is why the file did not take them, nil if it was only
	// slow. nil writes a line of plain text.
	Lost func(dst []byte, lines uint64, err error) []byte

	// Failed is told why the file was not put aside, or an old one not compressed or removed: once, until it has worked
	// again. Nothing is lost by it. It may Write to the Writer, but nothing else. nil: nobody is told.
	Failed func(err error)

	// Refused is told why the file takes nothing: once, until it does again. Lines wait meanwhile, and are lost when there are
	// too many. It may Write to the Writer, but nothing else. nil: nobody is told.
	Refused func(err error)
}

const (
	// defaultBuffer holds about 8,000 access lines: a disk that hangs for a tenth of a second loses nothing at
	// 80,000 requests per second.
	defaultBuffer = 1 << 20

	// gatherPause bounds the writes, and the wake-ups of the goroutine, to a hundred per second. The first line after a quiet time
	// is written at once. After a batch of busyBatch, which is some ten thousand lines per second, the pause is busyPause: a write
	// of so much takes long enough to wake Go's monitor thread, which then looks around for as long as many requests take.
	gatherPause = 10 * time.Millisecond
	busyPause   = 50 * time.Millisecond
	busyBatch   = 16 << 10

	retryPause = time.Second // between two tries when the file takes nothing

	// patience is how long Close, Reopen and Flush wait for a hanging disk. A Windows service has about 20 s to stop.
	patience = 5 * time.Second
)

// errHangs is the error of a call that waited longer than patience.
var errHangs = errors.New("the file takes no data")

// Writer appends lines to one file. It is an io.Writer that never blocks.
type Writer struct {
	path string // "" when the file is not ours to open
	opts Options

	wake    chan struct{} // capacity 1: the queue is no longer empty
	hurry   chan struct{} // capacity 1: the queue is half full, so that the pause ends
	orders  chan order
	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when run has ended
	tidied  chan struct{} // closed when tidy has ended
	untidy  chan struct{} // capacity 1: there is something for tidy to do
	dropped atomic.Uint64

	rotation atomic.Pointer[Rotate] // immutable

	mu     sync.Mutex // guards all below
	queue  []byte     // lines that wait
	lost   uint64     // lines dropped since the queue was taken last
	closed bool

	// Of run's goroutine alone.
	file    *os.File
	batch   []byte // the queue that was taken last
	written int    // bytes of batch that are in the file
	err     error  // of the last write that failed, until it has been told
	timer   *time.Timer
	size    int64       // of the file
	turn    time.Time   // when the file is put aside for its age; zero: never
	again   time.Time   // after a failed rotation: when to try again
	told    bool        // that it failed
	refused bool        // the last write, and that was told
	last    aside       // the stamp and number that a file got last
	clock   *time.Timer // looks for turn
}

// Open opens the file and starts the goroutine that writes it; Close ends it.
func Open(opts Options) (*Writer, error) {
	if opts.Buffer == 0 {
		opts.Buffer = defaultBuffer
	}
	if opts.Lost == nil {
		opts.Lost = lostText
	}
	if opts.Failed == nil {
		opts.Failed = func(error) {}
	}
	if opts.Refused == nil {
		opts.Refused = func(error) {}
	}
	if opts.File == nil && opts.Path == Stderr {
		opts.File = os.Stderr
	}
	w := &Writer{
		opts:   opts,
		wake:   make(chan struct{}, 1),
		hurry:  make(chan struct{}, 1),
		orders: make(chan order),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
		tidied: make(chan struct{}),
		untidy: make(chan struct{}, 1),
		file:   opts.File,
		timer:  time.NewTimer(gatherPause),
		clock:  time.NewTimer(turnCheck),
	}
	w.rotation.Store(&opts.Rotate)
	if w.file == nil {
		w.path = filepath.Clean(opts.Path)
		file, err := open(w.path)
		if err != nil {
			return nil, err
		}
		w.file = file
	}
	w.begin()
	if w.path != "" {
		signal(w.untidy) // for what a crash has left
	}
	go w.run()  // Close ends it.
	go w.tidy() // Close ends it.
	return w, nil
}

// Write queues whole lines, or drops them when the queue is full. It keeps nothing of lines. The error is os.ErrClosed
// after Close, else nil: a dropped line is counted and told in the file.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		w.dropped.Add(1)
		return 0, os.ErrClosed
	}
	first := len(w.queue) == 0
	fits := len(w.queue)+len(lines) <= w.opts.Buffer
	if fits {
		w.queue = append(w.queue, lines...)
	} else {
		w.lost++
	}
	half := len(w.queue) >= w.opts.Buffer/2
	w.mu.Unlock()

	if !fits {
		w.dropped.Add(1)
	}
	if first {
		signal(w.wake)
	}
	if half {
		signal(w.hurry)
	}
	return len(lines), nil
}

// Dropped returns how many lines were lost since Open.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Flush waits, at most 5 s, until what was written before has reached the file. The error is that of the file.
func (w *Writer) Flush() error {
	return w.ask(order{do: (*Writer).drain, reply: make(chan error, 1)})
}

// Reopen opens the path again, after the file was renamed, and closes the old file. What was written before goes to the
// old file. On an error the old file stays in use.
func (w *Writer) Reopen() error {
	if w.path == "" {
		return nil
	}
	return w.ask(order{do: (*Writer).reopen, reply: make(chan error, 1)})
}

// Close writes what waits, for at most 5 s, and closes the file. The error says that lines were lost.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return os.ErrClosed
	}
	w.closed = true
	w.mu.Unlock()

	close(w.quit)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-w.done:
	case <-limit.C:
		return fmt.Errorf("close %s: %w", w.opts.Path, errHangs)
	}
	select {
	case <-w.tidied:
	case <-limit.C: // nothing is lost by that
	}
	return w.err
}

// signal leaves one notice in a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// open opens a file to append to and makes the folders above it.
func open(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("folder of log file: %w", err)
	}
	return openAppend(path)
}

// lostText is the line in place of lost ones, for files of no particular format.
func lostText(dst []byte, lines uint64, err error) []byte {
	dst = strconv.AppendUint(dst, lines, 10)
	dst = append(dst, " log lines were lost here"...)
	if err != nil {
		dst = append(dst, ": "...)
		dst = append(dst, err.Error()...)
	}
	return append(dst, '\n')
}
