package buffering_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/buffering"
)

// FuzzPipe lets a random peer and a random client use a pipe with random limits and a disk that may be full. The oracle
// is a bytes.Buffer: whatever happens, the client gets a prefix of what the peer sent, all of it if neither failed; the
// limits hold all the time, and at the end everything is given back.
func FuzzPipe(f *testing.F) {
	f.Add([]byte{4, 2, 2, 200, 2, 0, 0, 0}, []byte{255, 255, 255, 255, 255, 255}, []byte{200, 1, 200, 0})
	f.Add([]byte{2, 1, 1, 10, 1, 9, 0, 1}, []byte{9, 8, 7, 6, 255, 254, 100, 100, 100}, []byte{3, 130, 9, 40, 0})
	f.Add([]byte{1, 1, 0, 0, 0, 0, 3, 0}, []byte{255, 1, 255}, []byte{})
	f.Add([]byte{3, 3, 3, 255, 0, 4, 5, 2}, []byte{255, 255, 255, 255, 255}, []byte{250, 250, 0, 0, 1})
	f.Add([]byte{2, 1, 1, 255, 1, 0, 0, 3}, []byte{255, 254, 255, 254, 255, 254, 100, 100, 100}, []byte{200, 31, 32, 250, 200, 31, 30})
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, limits, peer, client []byte) {
		if len(limits) < 8 || len(peer) > 200 || len(client) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) { runModel(t, folder, limits, peer, client) })
	})
}

// model is the oracle and the bookkeeping around it.
type model struct {
	t      *testing.T
	limits buffering.Limits
	first  int // size of the buffer that was handed over
	arena  *buffering.Arena
	dir    *buffering.SpillDir

	mu    sync.Mutex   // guards all below
	sent  bytes.Buffer // the naive pipe: what the peer sent and the client has not got yet
	total int          // bytes the peer sent
	taken int          // bytes the client took
}

func runModel(t *testing.T, folder string, setup, peer, client []byte) {
	t.Helper()
	dir, err := buffering.OpenSpillDir(folder, int64(setup[5])*2000) // 0: no limit
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, dir: dir, arena: buffering.NewArena(int64(setup[6]) * 1024)}
	m.limits = buffering.Limits{
		Buffers:       1 + int(setup[0]%8),
		BufferBytes:   1 + int(setup[1]%16)*200,
		BusySize:      int64(setup[2]) * 50,
		MaxTempFile:   int64(setup[3]) * 300,
		TempFileWrite: int64(setup[4]) * 300,
	}
	spills, failures := 0, 0
	p := buffering.NewPipe(buffering.PipeOptions{
		Arena: m.arena, Dir: dir, Limits: m.limits,
		OnSpill:      func(string) { spills++ },
		OnSpillError: func(error) { failures++ },
	})
	if setup[7]%2 == 1 {
		m.handOver(p, int(setup[7])*20)
	}
	filled := make(chan error, 1)
	go func() { filled <- p.Fill(&modelPeer{m, peer}) }() // ends with its script, or when the client is lost
	var w io.Writer = &modelClient{m, client}
	if setup[7]%4 >= 2 {
		w = &modelFileClient{modelClient{m, client}}
	}
	n, err := p.WriteTo(w)
	if n != int64(m.taken) {
		t.Errorf("got %d bytes counted, want the %d that the client took", n, m.taken)
	}
	p.Free()
	fillErr := <-filled
	synctest.Wait()

	switch {
	case errors.Is(err, errClientGone):
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil:
		if m.sent.Len() > 0 || !errors.Is(fillErr, err) {
			t.Errorf("got %v for the client and %v for the peer with %d bytes lost", err, fillErr, m.sent.Len())
		}
	default:
		t.Errorf("got %v, want no other error than those of the peer and the client", err)
	}
	if spills > 1 || failures > 1 {
		t.Errorf("got %d spill callbacks and %d about errors, want one at most", spills, failures)
	}
	if m.arena.InUse() != 0 || dir.Files() != 0 || dir.InUse() != 0 {
		t.Errorf("got %d bytes, %d files, %d on disk at the end, want 0", m.arena.InUse(), dir.Files(), dir.InUse())
	}
}

func (m *model) handOver(p *buffering.Pipe, size int) {
	b := m.arena.Get(size + 100)
	b.R = 3
	b.W = 3 + copy(b.B[3:], m.send(size))
	m.first = size + 100
	p.Take(b)
}

// send makes n more bytes of the body.
func (m *model) send(n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((m.total + i) * 31 >> 2)
	}
	m.total += n
	m.sent.Write(b)
	return b
}

// checkLimits is called at every read and write.
func (m *model) checkLimits() {
	memory := m.limits.Buffers*footprint(m.limits.BufferBytes) + footprint(m.first) + footprint(64<<10)
	if got := m.arena.InUse(); got > int64(memory) {
		m.t.Errorf("got %d bytes in memory, want %d at most", got, memory)
	}
	if got := m.dir.InUse(); got > m.limits.MaxTempFile {
		m.t.Errorf("got %d bytes on disk, want %d at most", got, m.limits.MaxTempFile)
	}
	if budget := m.dir.Budget(); budget > 0 && m.dir.InUse() > budget {
		m.t.Errorf("got %d bytes on disk, want the budget of %d at most", m.dir.InUse(), budget)
	}
}

// footprint is what a buffer takes: at least 1 KiB, and less than twice its size.
func footprint(size int) int { return max(2*size, 1024) }

// modelPeer sends as its script says: each byte is a pause (below 30), an error (30) or a size.
type modelPeer struct {
	*model
	script []byte
}

func (p *modelPeer) Read(b []byte) (int, error) {
	p.checkLimits()
	for len(p.script) > 0 {
		step := p.script[0]
		p.script = p.script[1:]
		switch {
		case step < 30:
			time.Sleep(time.Duration(step) * time.Millisecond)
		case step == 30:
			return 0, io.ErrUnexpectedEOF
		default:
			n := min(len(b), int(step)*20)
			copy(b, p.send(n))
			if len(p.script) == 0 && step%2 == 0 {
				return n, io.EOF
			}
			return n, nil
		}
	}
	return 0, io.EOF
}

// modelClient takes everything, after the pauses of its script; the byte 30 is its loss.
type modelClient struct {
	*model
	script []byte
}

func (c *modelClient) Write(b []byte) (int, error) {
	c.checkLimits()
	if len(b) == 0 {
		c.t.Error("got an empty write")
	}
	if busy := c.limits.BusySize; busy > 0 && int64(len(b)) > busy {
		c.t.Errorf("got a write of %d bytes, want %d at most", len(b), busy)
	}
	step := c.step()
	if step == 30 {
		return c.check(b[:len(b)/2]), errClientGone
	}
	time.Sleep(time.Duration(step) * time.Millisecond)
	return c.check(b), nil
}

func (c *modelClient) step() byte {
	if len(c.script) == 0 {
		return 0
	}
	step := c.script[0]
	c.script = c.script[1:]
	return step
}

// modelFileClient takes what is in the file itself: half of it after the step 31, and nothing after 32, when it has to be read.
type modelFileClient struct{ modelClient }

func (c *modelFileClient) SendFile(file *os.File, offset, n int64) (int64, error) {
	c.checkLimits()
	step := c.step()
	if step == 32 {
		return 0, errors.ErrUnsupported
	}
	time.Sleep(time.Duration(step) * time.Millisecond)
	b := make([]byte, n)
	if _, err := file.ReadAt(b, offset); err != nil {
		c.t.Errorf("got %v for %d bytes at %d of the file", err, n, offset)
	}
	switch step {
	case 30:
		return int64(c.check(b[:n/2])), errClientGone
	case 31:
		return int64(c.check(b[:(n+1)/2])), nil
	default:
		return int64(c.check(b)), nil
	}
}

func (c *modelClient) check(b []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := c.sent.Next(len(b)); !bytes.Equal(b, want) {
		c.t.Errorf("got %d bytes at %d that differ from what was sent", len(b), c.taken)
	}
	c.taken += len(b)
	return len(b)
}
