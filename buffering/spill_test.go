package buffering_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"spillway/buffering"
)

func TestPipe_SpillsWhenClientIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(1 << 20)
		client := &slowClient{bytesPerSecond: 1e6}
		began := time.Now()
		filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		// 20 ms of patience and what the client pays back meanwhile, 1/8 of it, and so on.
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("got the peer free after %v, want the client's patience at most", took)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("got the client served after %v, want its own speed", took)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
		if len(h.spills) != 1 || filepath.Dir(h.spills[0]) != h.path {
			t.Errorf("got spill callbacks %v, want one with a path in %s", h.spills, h.path)
		}
	})
}

func TestPipe_FastClientNeverSpills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(name string, client *burstyClient) {
			t.Helper()
			h := newHarness(t, smallLimits())
			want := pattern(8 << 20)
			filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
			if err := errors.Join(<-filled, <-delivered); err != nil {
				t.Error(err)
			}
			h.checkBody(client.Bytes(), want)
			h.checkGivenBack()
			if len(h.spills) != 0 {
				t.Errorf("%s: got %+v, want no spill", name, h.dir.Stats())
			}
		}
		f("9 MB/s", &burstyClient{burst: 4 << 10, pause: time.Second / 9e6 * 4096})
		f("9 MB/s in bursts", &burstyClient{burst: 150_000, pause: 150_000 * time.Second / 9e6})
		f("100 MB/s", &burstyClient{burst: 100_000, pause: time.Millisecond})
	})
}

// burstyClient takes burst bytes at once and then nothing for a pause.
type burstyClient struct {
	bytes.Buffer
	burst int
	pause time.Duration
	taken int
}

func (c *burstyClient) Write(b []byte) (int, error) {
	c.taken += len(b)
	for c.taken >= c.burst {
		c.taken -= c.burst
		time.Sleep(c.pause)
	}
	return c.Buffer.Write(b)
}

func TestPipe_PatienceIsSpentOncePerSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		began := time.Now()
		h.fillAll(pattern(10 << 20))
		if got, want := time.Since(began), 20*time.Millisecond; got != want {
			t.Errorf("got the peer waiting for %v, want %v", got, want)
		}
		h.pipe.Free()
		h.checkGivenBack()
	})
}

func TestPipe_MemoryComesFirstAgainWhenTheFileIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		peer := newTap()
		filled := h.fill(peer)
		want := pattern(2 << 20)
		peer.send(want[:1<<20])
		time.Sleep(time.Second) // nobody takes anything: the first half goes to the file
		synctest.Wait()
		spilled := h.pipe.Spilled()
		if spilled < 1<<20-8<<10 {
			t.Errorf("got %d bytes spilled, want all that does not fit in memory", spilled)
		}
		client := &slowClient{bytesPerSecond: 20e6}
		delivered := h.deliver(client)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.dir.InUse(); got != 0 {
			t.Errorf("got %d bytes on disk after the client has caught up, want 0", got)
		}
		peer.send(want[1<<20:])
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.pipe.Spilled(); got != spilled {
			t.Errorf("got %d bytes spilled for a fast client, want %d as before", got, spilled)
		}
		peer.close()
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
		if len(h.spills) != 1 {
			t.Errorf("got %d spill callbacks, want 1", len(h.spills))
		}
	})
}

func TestPipe_NoPatienceWhileBytesAreLeftInTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		peer := newTap()
		filled := h.fill(peer)
		want := pattern(2 << 20)
		peer.send(want[:1<<20])
		time.Sleep(time.Second)
		client := &slowClient{bytesPerSecond: 6e6} // pays back 3/4 of what it takes
		delivered := h.deliver(client)
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		peer.send(want[1<<20:])
		peer.close()
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("got the peer free after %v, want at once: the client is behind", took)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_SpillsTempFileWriteAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(atOnce, want int64) {
			t.Helper()
			limits := evenLimits()
			limits.TempFileWrite = atOnce
			h := newHarness(t, limits)
			h.fillAll(pattern(8<<10 + 1)) // one byte more than the memory
			if got := h.pipe.Spilled(); got != want {
				t.Errorf("temp_file_write_size %d: got %d bytes spilled, want %d", atOnce, got, want)
			}
			h.pipe.Free()
			h.checkGivenBack()
		}
		f(1, 2<<10) // one buffer at least
		f(4<<10, 4<<10)
		f(5<<10, 4<<10) // whole buffers
		f(1<<20, 8<<10)
	})
}

func TestPipe_StallsAtMaxTempFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(maxTempFile int64, want int) {
			t.Helper()
			limits := evenLimits()
			limits.MaxTempFile = maxTempFile
			h := newHarness(t, limits)
			body := pattern(1 << 20)
			peer := &counter{Reader: bytes.NewReader(body)}
			filled := h.fill(peer)
			time.Sleep(time.Hour)
			synctest.Wait()
			if peer.n != want {
				t.Errorf("max_temp_file_size %d: got %d bytes read from the peer, want %d", maxTempFile, peer.n, want)
			}
			client := &slowClient{bytesPerSecond: 1e6}
			delivered := h.deliver(client)
			if err := errors.Join(<-filled, <-delivered); err != nil {
				t.Error(err)
			}
			h.checkBody(client.Bytes(), body)
			h.checkGivenBack()
			if len(h.errors) != 0 {
				t.Errorf("got spill errors %v, want none: a limit is no error", h.errors)
			}
		}
		f(0, 8<<10)
		f(1000, 8<<10) // less than a buffer
		f(40<<10, 48<<10)
		f(41<<10, 48<<10)
		f(42<<10, 50<<10) // less than temp_file_write_size is left at the end
	})
}

func TestPipe_MaxTempFileBoundsTheFileNotTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := smallLimits()
		limits.MaxTempFile = 64 << 10
		h := newHarness(t, limits)
		body := pattern(1 << 20)
		client := &slowClient{bytesPerSecond: 1e6}
		filled, delivered := h.fill(&watched{bytes.NewReader(body), h}), h.deliver(client)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if got := h.pipe.Spilled(); got <= limits.MaxTempFile {
			t.Errorf("got %d bytes spilled, want the space of the file used several times", got)
		}
		<-delivered
		h.checkBody(client.Bytes(), body)
		h.checkGivenBack()
	})
}

// watched is a peer that checks the size of the spill file before each read.
type watched struct {
	*bytes.Reader
	h *harness
}

func (w *watched) Read(b []byte) (int, error) {
	if got := w.h.dir.InUse(); got > 64<<10 {
		w.h.t.Errorf("got %d bytes on disk, want 64 KiB at most", got)
	}
	return w.Reader.Read(b)
}

func TestPipe_DrainedFileFreesThePeerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := smallLimits()
		limits.MaxTempFile = 40 << 10
		h := newHarness(t, limits)
		body := pattern(96 << 10)
		peer := &counter{Reader: bytes.NewReader(body)}
		filled := h.fill(peer)
		time.Sleep(time.Second)
		client := &thenGate{takes: 40 << 10, gate: newGate()} // all of the file, not more
		delivered := h.deliver(client)
		time.Sleep(time.Second)
		synctest.Wait()
		if peer.n <= 48<<10 {
			t.Errorf("got %d bytes read from the peer, want more than before the file was drained", peer.n)
		}
		close(client.opened)
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), body)
		h.checkGivenBack()
	})
}

// thenGate is a client that takes some bytes and then becomes a gate.
type thenGate struct {
	takes int
	*gate
}

func (c *thenGate) Write(b []byte) (int, error) {
	if c.takes == 0 {
		return c.gate.Write(b)
	}
	c.takes -= len(b)
	return c.Buffer.Write(b)
}

func TestPipe_BusyWriteDoesNotKeepTheOtherBuffersInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		peer := newTap()
		filled := h.fill(peer)
		want := pattern(100_000)
		peer.send(want[:8<<10]) // all of the memory, before anything is taken
		synctest.Wait()
		client := newGate()
		delivered := h.deliver(client)
		peer.send(want[8<<10:])
		peer.close()
		if err := <-filled; err != nil { // does not wait for the client
			t.Error(err)
		}
		close(client.opened)
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_DeliversInOrderWhileBuffersAreOnTheirWayToTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		h.pipe.CloseWrite(nil)
		h.pipe.Free()
		client := &bytes.Buffer{}
		var delivered <-chan error
		h.pipe = buffering.NewPipe(buffering.PipeOptions{
			Arena: h.arena, Dir: h.dir, Limits: smallLimits(),
			OnSpill: func(string) { // two buffers have left the memory and are not in the file yet
				delivered = h.deliver(client)
				synctest.Wait()
				if client.Len() > 0 {
					t.Errorf("got %d bytes delivered out of order", client.Len())
				}
			},
		})
		peer := newTap()
		filled := h.fill(peer)
		want := pattern(8 << 10)
		peer.send(want)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := client.Len(); got != len(want) {
			t.Errorf("got %d bytes delivered while the peer is silent, want all %d", got, len(want))
		}
		peer.close()
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_DiskTroubleCostsNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(name string, disk int64, prepare func(h *harness), want error) {
			t.Helper()
			h := newHarnessWithBudgets(t, smallLimits(), 0, disk)
			prepare(h)
			body := pattern(200_000)
			client := &slowClient{bytesPerSecond: 100_000}
			began := time.Now()
			filled, delivered := h.fill(bytes.NewReader(body)), h.deliver(client)
			if err := <-filled; err != nil {
				t.Errorf("%s: fill: %v", name, err)
			}
			if took := time.Since(began); took < time.Second {
				t.Errorf("%s: got the peer free after %v, want the speed of the client", name, took)
			}
			if err := <-delivered; err != nil {
				t.Errorf("%s: deliver: %v", name, err)
			}
			h.checkBody(client.Bytes(), body)
			if len(h.errors) != 1 || want != nil && !errors.Is(h.errors[0], want) {
				t.Errorf("%s: got spill errors %v, want one: %v", name, h.errors, want)
			}
			if h.dir.Stats().Errors == 0 {
				t.Errorf("%s: got no error counted", name)
			}
			if h.arena.InUse() != 0 || h.dir.Files() != 0 || h.dir.InUse() != 0 {
				t.Errorf("%s: got %d bytes in memory, %d files, %d bytes on disk at the end, want 0",
					name, h.arena.InUse(), h.dir.Files(), h.dir.InUse())
			}
		}
		f("budget of a few bytes", 100, func(*harness) {}, buffering.ErrDiskBudget)
		f("budget used up half-way", 20_000, func(*harness) {}, buffering.ErrDiskBudget)
		f("folder replaced by a file", 0, func(h *harness) {
			if err := errors.Join(os.Remove(h.path), os.WriteFile(h.path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, nil)
	})
}

func TestPipe_FolderThatIsGoneIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		if err := os.Remove(h.path); err != nil {
			t.Fatal(err)
		}
		want := pattern(50_000)
		h.fillAll(want)
		h.checkBody(h.deliverAll(), want)
		if len(h.spills) != 1 || len(h.errors) != 0 {
			t.Errorf("got spills %v and errors %v, want one spill", h.spills, h.errors)
		}
		h.checkGivenBack()
	})
}

func TestPipe_TriesTheDiskAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := evenLimits()
		h := newHarnessWithBudgets(t, limits, 0, 100<<10)
		hog := h.pipe
		h.fillAll(pattern(106 << 10)) // leaves 2 KiB of the budget
		h.open(limits)
		body := pattern(150_000)
		client := &slowClient{bytesPerSecond: 50_000}
		filled, delivered := h.fill(bytes.NewReader(body)), h.deliver(client)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if len(h.errors) != 1 {
			t.Errorf("got spill errors %v, want one", h.errors)
		}
		spilled := h.pipe.Spilled()
		hog.Free()
		began := time.Now()
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("got the peer free %v after there was space again, want less than two seconds", took)
		}
		if got := h.pipe.Spilled(); got <= spilled {
			t.Errorf("got %d bytes spilled, want more than the %d before there was space", got, spilled)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(client.Bytes(), body)
		h.checkGivenBack()
		if len(h.errors) != 1 {
			t.Errorf("got spill errors %v at the end, want one", h.errors)
		}
	})
}

// tap is a peer that sends what the test gives it.
type tap struct {
	parts chan []byte
	rest  []byte
}

func newTap() *tap { return &tap{parts: make(chan []byte)} }

func (p *tap) send(b []byte) { p.parts <- b }
func (p *tap) close()        { close(p.parts) }

func (p *tap) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		part, open := <-p.parts
		if !open {
			return 0, io.EOF
		}
		p.rest = part
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
