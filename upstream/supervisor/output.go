package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxLine   = 4096     // bytes of one line that are kept; the rest of it is dropped
	tailLines = 20       // lines of a run that are kept for its exit record
	readSize  = 64 << 10 // bytes of a stream that are read at once: what a pipe of Linux holds

	// A process may write lineBurst lines at once to the error log, which is a long traceback for each of eight threads, and
	// lineRate a second over time. The lines of lineMute are left out when it writes more.
	lineBurst = 1000
	lineRate  = 200
	lineMute  = time.Second
)

// output is where the output of one run goes: its lines to the log, as many as the limiter lets through, the last of them
// to the exit record, and every byte to raw. Both streams are read at the same time.
type output struct {
	log   *slog.Logger
	limit *limiter
	raw   io.Writer // nil: nobody wants it

	tail   tail
	failed atomic.Bool // raw has refused bytes, and that was logged
}

// newOutput makes the output of a run; limit may be that of earlier runs of the process. raw stays the caller's to close, after
// both reads have returned. Its Write is called by both at the same time, and as long as it blocks, the process stands still.
func newOutput(log *slog.Logger, limit *limiter, raw io.Writer) *output {
	o := &output{log: log, limit: limit}
	if raw != nil {
		o.raw = &serialWriter{to: raw}
	}
	return o
}

// read reads one stream until it ends, whatever becomes of the bytes: a process whose pipe is full stands still.
func (o *output) read(pipe io.Reader, stream string) {
	if o.raw != nil {
		pipe = &tee{from: pipe, to: o.raw, failed: o.rawFailed}
	}
	readLines(pipe, func(line string) {
		o.tail.add(line)
		if o.log.Enabled(context.Background(), levelNotice) && o.limit.allow() {
			notice(o.log, "process output", "stream", stream, "line", line)
		}
	})
}

// rawFailed tells once that raw output is lost: a full disk would have us write a line for each line.
func (o *output) rawFailed(err error) {
	if !o.failed.Swap(true) {
		o.log.Error("process output not written", "err", err)
	}
}

// tee gives what is read to a writer as well. Unlike io.TeeReader it goes on reading when that fails, and goes on trying.
type tee struct {
	from   io.Reader
	to     io.Writer
	failed func(error)
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if n > 0 {
		if _, err := t.to.Write(p[:n]); err != nil {
			t.failed(err)
		}
	}
	return n, err
}

// serialWriter lets two streams share a writer.
type serialWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *serialWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// tail keeps the last lines of a run. Both streams write to it.
type tail struct {
	mu    sync.Mutex
	lines []tailLine
}

type tailLine struct {
	text string
	at   time.Time
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, tailLine{line, time.Now()})
}

// snapshot returns all lines.
func (t *tail) snapshot() []string {
	return t.between(time.Time{}, time.Now())
}

// between returns the lines that were written in a span of time.
func (t *tail) between(from, to time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var texts []string
	for _, line := range t.lines {
		if !line.at.Before(from) && !line.at.After(to) {
			texts = append(texts, line.text)
		}
	}
	return texts
}

// readLines calls emit for each line that is not blank, without its end and cut at maxLine, until the stream ends. It
// never stops reading before.
func readLines(r io.Reader, emit func(line string)) {
	br := bufio.NewReaderSize(r, readSize)
	cut := false // the line is longer than the buffer and was emitted already
	for {
		line, err := br.ReadSlice('\n')
		if !cut {
			line = bytes.TrimRight(line, "\r\n")
			if line = line[:min(len(line), maxLine)]; len(bytes.TrimSpace(line)) > 0 {
				emit(string(line))
			}
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut {
			return
		}
	}
}

// limiter bounds the lines that a process may write to the error log. Once it has written too many, all are left out for
// lineMute, and a line says how many they were.
type limiter struct {
	log *slog.Logger

	mu      sync.Mutex
	lines   float64   // that may be written at once, at the time filled
	filled  time.Time // the zero time stands for a full burst
	leftOut int       // since the process is mute; 0: it is not
	unmute  *time.Timer
}

// newLimiter makes the limiter of a process, which its runs share.
func newLimiter(log *slog.Logger) *limiter { return &limiter{log: log} }

// allow says whether one more line may be written, and counts it if not.
func (l *limiter) allow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leftOut > 0 {
		l.leftOut++
		return false
	}
	now := time.Now()
	l.lines = min(lineBurst, l.lines+lineRate*now.Sub(l.filled).Seconds())
	l.filled = now
	if l.lines >= 1 {
		l.lines--
		return true
	}
	l.leftOut = 1
	l.unmute = time.AfterFunc(lineMute, l.flush) // flush stops it
	return false
}

// flush tells of the lines that were left out and lets lines through again. It is called at the end of a run, so that nothing
// is told late.
func (l *limiter) flush() {
	l.mu.Lock()
	n := l.leftOut
	l.leftOut = 0
	if l.unmute != nil {
		l.unmute.Stop()
	}
	l.mu.Unlock()
	if n > 0 {
		notice(l.log, "process output left out", "lines", n)
	}
}
