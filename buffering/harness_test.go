package buffering_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"spillway/buffering"
)

// harness is a pipe with all that it works with, and a record of its callbacks.
type harness struct {
	t     *testing.T
	path  string // of the spill folder
	arena *buffering.Arena
	dir   *buffering.SpillDir
	pipe  *buffering.Pipe

	spills []string
	errors []error
}

// smallLimits are four buffers of 2 KiB: 8 KiB in memory.
func smallLimits() buffering.Limits {
	return buffering.Limits{
		Buffers: 4, BufferBytes: 2 << 10, BusySize: 4 << 10, MaxTempFile: 1 << 30, TempFileWrite: 4 << 10,
	}
}

// evenLimits are smallLimits with no room for larger buffers.
func evenLimits() buffering.Limits {
	limits := smallLimits()
	limits.BusySize = int64(limits.BufferBytes)
	return limits
}

func newHarness(t *testing.T, limits buffering.Limits) *harness {
	t.Helper()
	return newHarnessWithBudgets(t, limits, 0, 0)
}

func newHarnessWithBudgets(t *testing.T, limits buffering.Limits, memory, disk int64) *harness {
	t.Helper()
	path := filepath.Join(t.TempDir(), "temp")
	dir, err := buffering.OpenSpillDir(path, disk)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, path: path, arena: buffering.NewArena(memory), dir: dir}
	h.open(limits)
	return h
}

func (h *harness) open(limits buffering.Limits) {
	h.pipe = buffering.NewPipe(buffering.PipeOptions{
		Arena: h.arena, Dir: h.dir, Limits: limits,
		OnSpill:      func(path string) { h.spills = append(h.spills, path) },
		OnSpillError: func(err error) { h.errors = append(h.errors, err) },
	})
}

// fillAll fills the pipe with body while nobody takes anything.
func (h *harness) fillAll(body []byte) {
	h.t.Helper()
	if err := h.pipe.Fill(bytes.NewReader(body)); err != nil {
		h.t.Errorf("fill: got %v, want no error", err)
	}
}

// deliverAll delivers what is left, ends the deliver side and returns the bytes.
func (h *harness) deliverAll() []byte {
	h.t.Helper()
	var got bytes.Buffer
	if n, err := h.pipe.WriteTo(&got); err != nil || n != int64(got.Len()) {
		h.t.Errorf("deliver: got %d, %v, want %d and no error", n, err, got.Len())
	}
	h.pipe.Free()
	return got.Bytes()
}

// fill fills in the background; the channel gets the result of Fill.
func (h *harness) fill(r io.Reader) <-chan error {
	done := make(chan error, 1)
	go func() { done <- h.pipe.Fill(r) }() // ends with the reader, or when the test aborts the pipe
	return done
}

// deliver delivers in the background, ends the deliver side and sends the error of WriteTo.
func (h *harness) deliver(w io.Writer) <-chan error {
	done := make(chan error, 1)
	go func() { // ends with the body or the writer
		_, err := h.pipe.WriteTo(w)
		h.pipe.Free()
		done <- err
	}()
	return done
}

// checkGivenBack wants that both sides have ended and nothing is held any more.
func (h *harness) checkGivenBack() {
	h.t.Helper()
	if got := h.arena.InUse(); got != 0 {
		h.t.Errorf("got %d bytes of buffers in use at the end, want 0", got)
	}
	if files, disk := h.dir.Files(), h.dir.InUse(); files != 0 || disk != 0 {
		h.t.Errorf("got %d files and %d bytes on disk at the end, want 0", files, disk)
	}
	if names := namesIn(h.t, h.path); len(names) > 0 {
		h.t.Errorf("got %v in the spill folder at the end, want nothing", names)
	}
}

func (h *harness) checkBody(got, want []byte) {
	h.t.Helper()
	if !bytes.Equal(got, want) {
		h.t.Errorf("got a body of %d bytes that differs from the %d bytes filled in", len(got), len(want))
	}
}

// pattern returns n bytes in which each position looks different for a long while.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}

// slowClient takes bytesPerSecond, at once up to the size of a socket buffer, and keeps what it got.
type slowClient struct {
	bytes.Buffer
	bytesPerSecond float64
	largest        int // of all writes
}

func (c *slowClient) Write(b []byte) (int, error) {
	c.largest = max(c.largest, len(b))
	time.Sleep(time.Duration(float64(len(b)) / c.bytesPerSecond * float64(time.Second)))
	return c.Buffer.Write(b)
}

// gate is a client that takes nothing until it is opened.
type gate struct {
	bytes.Buffer
	opened chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	<-g.opened
	return g.Buffer.Write(b)
}

// counter counts what was read from it.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

// brokenClient takes some bytes and then fails.
type brokenClient struct{ takes int }

var errClientGone = errors.New("client gone")

func (c *brokenClient) Write(b []byte) (int, error) {
	if len(b) > c.takes {
		n := c.takes
		c.takes = 0
		return n, errClientGone
	}
	c.takes -= len(b)
	return len(b), nil
}
