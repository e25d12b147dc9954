package buffering_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unsafe"

	"spillway/buffering"
)

func TestPipe_KeepsASmallBodyInMemory(t *testing.T) {
	h := newHarness(t, smallLimits())
	want := pattern(7000)
	h.fillAll(want)
	if got := h.pipe.Spilled(); got != 0 {
		t.Errorf("got %d bytes spilled, want 0", got)
	}
	h.checkBody(h.deliverAll(), want)
	h.checkGivenBack()
}

func TestPipe_EmptyBody(t *testing.T) {
	h := newHarness(t, smallLimits())
	h.pipe.CloseWrite(nil)
	if got := h.deliverAll(); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	h.checkGivenBack()
}

func TestPipe_TakeHandsOverWithoutCopy(t *testing.T) {
	h := newHarness(t, smallLimits())
	first := h.arena.Get(4096)
	first.W = copy(first.B, "head:body")
	first.R = len("head:")
	want := unsafe.SliceData(first.Bytes())
	h.pipe.Take(first)
	h.fillAll([]byte(", and more"))
	if got, want := h.arena.InUse(), int64(4096); got != want {
		t.Errorf("got %d bytes in use, want %d: the rest of the first buffer has room", got, want)
	}
	client := &addressClient{}
	if _, err := h.pipe.WriteTo(client); err != nil {
		t.Error(err)
	}
	if client.data != want {
		t.Error("got a copy of the first buffer, want its own memory")
	}
	h.pipe.Free()
	if got, want := client.String(), "body, and more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.checkGivenBack()
}

type addressClient struct {
	bytes.Buffer
	data *byte // where the first write came from
}

func (c *addressClient) Write(b []byte) (int, error) {
	if c.data == nil {
		c.data = unsafe.SliceData(b)
	}
	return c.Buffer.Write(b)
}

func TestPipe_TakesEmptyAndSeveralBuffers(t *testing.T) {
	h := newHarness(t, smallLimits())
	h.pipe.Take(h.arena.Get(1000))
	for _, text := range []string{"one ", "two "} {
		b := h.arena.Get(1000)
		b.W = copy(b.B, text)
		h.pipe.Take(b)
	}
	if err := h.pipe.Append([]byte("three")); err != nil {
		t.Error(err)
	}
	h.pipe.CloseWrite(nil)
	if got, want := string(h.deliverAll()), "one two three"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.checkGivenBack()
}

func TestPipe_DeliversEachPieceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		peer, peerEnd := io.Pipe()
		filled := h.fill(peer)
		var client bytes.Buffer
		// A writer that holds bytes back is flushed before the pipe waits.
		delivered := h.deliver(bufio.NewWriterSize(&client, 1<<20))
		for _, want := range []string{"a", "ab", "abc"} {
			peerEnd.Write([]byte(want[len(want)-1:]))
			synctest.Wait()
			if got := client.String(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			time.Sleep(time.Hour)
		}
		peerEnd.Close()
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkGivenBack()
	})
}

func TestPipe_ShortReadsDoNotUseUpBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(8 << 10) // exactly what fits
		filled := h.fill(&tenBytes{bytes.NewReader(want)})
		client := newGate()
		delivered := h.deliver(client)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if spilled, memory := h.pipe.Spilled(), h.arena.InUse(); spilled != 0 || memory > 8<<10 {
			t.Errorf("got %d bytes spilled and %d in memory, want 0 and at most %d", spilled, memory, 8<<10)
		}
		close(client.opened)
		<-delivered
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
	})
}

// tenBytes is a peer that sends ten bytes at a time, the last ones with io.EOF.
type tenBytes struct{ *bytes.Reader }

func (r *tenBytes) Read(b []byte) (int, error) {
	n, _ := r.Reader.Read(b[:min(len(b), 10)])
	if r.Len() == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestPipe_FastClientOfShortReadsNeedsOneBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		peer, peerEnd := io.Pipe()
		filled := h.fill(peer)
		var client bytes.Buffer
		delivered := h.deliver(&client)
		want := pattern(20_000)
		for part := want; len(part) > 0; part = part[10:] {
			peerEnd.Write(part[:10])
			synctest.Wait()
			if got := h.arena.InUse(); got > 2<<10 {
				t.Fatalf("got %d bytes in memory, want one buffer", got)
			}
		}
		peerEnd.Close()
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
	})
}

// A peer with more than a buffer has room for is read in pieces of what the client may get at once, within the pipe's memory.
func TestPipe_ReadsAFastPeerInLargePieces(t *testing.T) {
	f := func(busy, memory int64, want ...int) {
		t.Helper()
		limits := smallLimits()
		limits.Buffers, limits.BusySize, limits.TempFileWrite = 8, busy, 8<<10
		h := newHarnessWithBudgets(t, limits, memory, 0)
		body := pattern(16 << 10)
		peer := &roomy{Reader: bytes.NewReader(body)}
		if err := h.pipe.Fill(peer); err != nil {
			t.Error(err)
		}
		if !slices.Equal(peer.rooms, want) {
			t.Errorf("busy size %d, budget %d: got room for %v, want %v", busy, memory, peer.rooms, want)
		}
		if got := h.arena.InUse(); got > 16<<10 {
			t.Errorf("got %d bytes in use, want %d at most", got, 16<<10)
		}
		h.checkBody(h.deliverAll(), body)
		h.checkGivenBack()
	}
	const k = 1 << 10
	f(2*k, 0, 2*k, 2*k, 2*k, 2*k, 2*k, 2*k, 2*k, 2*k)
	f(4*k, 0, 2*k, 4*k, 4*k, 4*k, 2*k)
	f(8*k, 0, 2*k, 8*k, 4*k, 2*k)
	f(14*k, 0, 2*k, 8*k, 4*k, 2*k)       // half of the memory: the rest is to be read into meanwhile
	f(8*k, 8*k, 2*k, 2*k, 2*k, 2*k, 8*k) // the budget has room for a large one after a spill only
}

// roomy notes how much it was asked for, and ends with its last bytes.
type roomy struct {
	*bytes.Reader

	rooms []int
}

func (r *roomy) Read(b []byte) (int, error) {
	r.rooms = append(r.rooms, len(b))
	n, _ := r.Reader.Read(b)
	if r.Len() == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestPipe_BusySizeBoundsAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(busy int64, want int) {
			t.Helper()
			limits := smallLimits()
			limits.Buffers, limits.BufferBytes, limits.BusySize = 4, 128<<10, busy
			h := newHarness(t, limits)
			body := pattern(400_000)
			h.fillAll(body)
			client := &slowClient{bytesPerSecond: 1e9}
			<-h.deliver(client)
			if client.largest > want {
				t.Errorf("busy size %d: got a write of %d bytes, want at most %d", busy, client.largest, want)
			}
			h.checkBody(client.Bytes(), body)
			h.checkGivenBack()
		}
		f(5000, 5000)
		f(40<<10, 40<<10)
		f(1<<20, 64<<10) // the pipe's own limit
	})
}

func TestPipe_CutBodyEndsWithTheErrorOfThePeer(t *testing.T) {
	for _, lost := range []error{
		errors.New("connection reset"),
		fmt.Errorf("upstream prematurely closed connection: %w", io.EOF), // must not look like a complete body
	} {
		h := newHarness(t, smallLimits())
		err := h.pipe.Fill(io.MultiReader(bytes.NewReader([]byte("part")), iotest.ErrReader(lost)))
		if !errors.Is(err, lost) {
			t.Errorf("fill: got %v, want %v", err, lost)
		}
		var client bytes.Buffer
		if n, err := h.pipe.WriteTo(&client); n != 4 || !errors.Is(err, lost) {
			t.Errorf("deliver: got %d, %v, want 4, %v", n, err, lost)
		}
		h.pipe.Free()
		if got := client.String(); got != "part" {
			t.Errorf("got %q, want what came before the error", got)
		}
		h.checkGivenBack()
	}
}

func TestPipe_ReaderThatReturnsNothingIsAnError(t *testing.T) {
	h := newHarness(t, smallLimits())
	if err := h.pipe.Fill(nothing{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
	h.pipe.Free()
	h.checkGivenBack()
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func TestPipe_ClientErrorEndsTheFillSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, takes := range []int{0, 1, 5000, 30_000} {
			h := newHarness(t, smallLimits())
			peer, peerEnd := io.Pipe()
			filled := h.fill(peer)
			delivered := h.deliver(&brokenClient{takes: takes})
			go peerEnd.Write(pattern(100_000)) // ends when the pipe is closed below
			if err := <-delivered; !errors.Is(err, errClientGone) {
				t.Errorf("deliver: got %v, want %v", err, errClientGone)
			}
			peer.Close() // what the relay does with the connection
			if err := <-filled; err == nil {
				t.Error("fill: got no error after the client was lost")
			}
			h.checkGivenBack()
		}
	})
}

func TestPipe_AbortEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("exchange over")
		never := newGate()
		defer close(never.opened)
		f := func(name string, size int, maxTempFile int64, pause time.Duration) {
			t.Helper()
			limits := smallLimits()
			limits.MaxTempFile = maxTempFile
			h := newHarness(t, limits)
			filled := h.fill(bytes.NewReader(pattern(size)))
			time.Sleep(pause)
			synctest.Wait()
			h.pipe.Abort(reason)
			if err := <-filled; !errors.Is(err, buffering.ErrAborted) {
				t.Errorf("%s: got %v, want %v", name, err, buffering.ErrAborted)
			}
			if _, err := h.pipe.WriteTo(never); !errors.Is(err, reason) {
				t.Errorf("%s: deliver after Abort: got %v, want %v", name, err, reason)
			}
			h.pipe.Free()
			h.checkGivenBack()
		}
		f("waiting with patience", 50_000, 1<<30, 5*time.Millisecond)
		f("stalled, no file", 50_000, 0, time.Second)
		f("stalled, file full", 50_000, 10_000, time.Second)

		h := newHarness(t, smallLimits())
		delivered := h.deliver(io.Discard)
		synctest.Wait()
		h.pipe.Abort(nil)
		if err := <-delivered; !errors.Is(err, buffering.ErrAborted) {
			t.Errorf("waiting for bytes: got %v, want %v", err, buffering.ErrAborted)
		}
		h.pipe.CloseWrite(nil)
		h.checkGivenBack()
	})
}

func TestPipe_LastSideGivesAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		filled := h.fill(bytes.NewReader(pattern(50_000)))
		time.Sleep(time.Second)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		h.pipe.Free() // the fill side went first
		h.checkGivenBack()

		h.open(smallLimits())
		peer, peerEnd := io.Pipe()
		filled = h.fill(peer)
		peerEnd.Write(pattern(20_000))
		synctest.Wait()
		h.pipe.Free() // the deliver side goes first, and the fill side hangs in a read
		synctest.Wait()
		if h.arena.InUse() == 0 {
			t.Error("got all buffers back while the fill side reads into one")
		}
		peerEnd.Close()
		<-filled
		h.checkGivenBack()
	})
}

func TestPipe_PanicsOnMisuse(t *testing.T) {
	f := func(want string, misuse func(p *buffering.Pipe)) {
		t.Helper()
		h := newHarness(t, smallLimits())
		defer func() {
			t.Helper()
			if got := recover(); got != want {
				t.Errorf("got panic %v, want %v", got, want)
			}
		}()
		misuse(h.pipe)
	}
	f("buffering: pipe freed twice", func(p *buffering.Pipe) { p.Free(); p.Free() })
	f("buffering: pipe closed twice", func(p *buffering.Pipe) { p.CloseWrite(nil); p.CloseWrite(nil) })
	f("buffering: pipe freed twice", func(p *buffering.Pipe) { p.CloseWrite(nil); p.Free(); p.Free() })
}

func TestPipe_ReadDeliversToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(50_000)
		filled := h.fill(iotest.HalfReader(bytes.NewReader(want)))
		time.Sleep(time.Second)
		synctest.Wait()
		if h.pipe.Spilled() == 0 {
			t.Error("got nothing spilled while nobody reads")
		}
		got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(h.pipe, 30_000)))
		if err != nil {
			t.Error(err)
		}
		rest, err := io.ReadAll(h.pipe)
		if err != nil {
			t.Error(err)
		}
		h.pipe.Free()
		<-filled
		h.checkBody(append(got, rest...), want)
		h.checkGivenBack()
	})
}

func TestPipe_ReadReturnsTheErrorOfThePeer(t *testing.T) {
	h := newHarness(t, smallLimits())
	h.pipe.CloseWrite(io.ErrUnexpectedEOF)
	if _, err := io.ReadAll(h.pipe); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	h.pipe.Free()
	h.checkGivenBack()
}

func TestPipe_WorksWithOneBufferWhenTheBudgetIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarnessWithBudgets(t, smallLimits(), 10<<10, 0)
		hog := h.arena.Get(10 << 10)
		before := h.arena.InUse()
		want := pattern(100_000)
		client := &slowClient{bytesPerSecond: 100e6}
		filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		if got := h.arena.InUse(); got != before {
			t.Errorf("got %d in use, want %d", got, before)
		}
		h.arena.Put(hog)
		h.checkGivenBack()
	})
}
