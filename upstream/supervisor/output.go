package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
)

const (
	maxLine   = 4096 // bytes of one line that are kept; the rest of it is dropped
	tailLines = 20   // lines of a run that are kept for its exit record
)

// tail keeps the last lines of a run. Both streams write to it.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) snapshot() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// readLines calls emit for each line that is not blank, without its end and cut at maxLine, until the stream ends. It
// never stops reading before: a process whose pipe is full stands still.
func readLines(r io.Reader, emit func(line string)) {
	br := bufio.NewReaderSize(r, maxLine)
	cut := false // the line is longer than the buffer and was emitted already
	for {
		line, err := br.ReadSlice('\n')
		if !cut {
			if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
				emit(string(line))
			}
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut {
			return
		}
	}
}
