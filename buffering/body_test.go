package buffering_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"spillway/buffering"
)

// bodyHarness is what bodies work with.
type bodyHarness struct {
	t      *testing.T
	arena  *buffering.Arena
	dir    *buffering.SpillDir
	path   string
	spills []string
}

func newBodyHarness(t *testing.T, memory, disk int64) *bodyHarness {
	t.Helper()
	path := filepath.Join(t.TempDir(), "temp")
	dir, err := buffering.OpenSpillDir(path, disk)
	if err != nil {
		t.Fatal(err)
	}
	return &bodyHarness{t: t, arena: buffering.NewArena(memory), dir: dir, path: path}
}

func (h *bodyHarness) body(memory int) *buffering.Body {
	return buffering.NewBody(h.arena, h.dir, memory, func(path string) { h.spills = append(h.spills, path) })
}

// check wants that the body is want, whichever way it is read, then frees it.
func (h *bodyHarness) check(b *buffering.Body, want []byte) {
	h.t.Helper()
	if got := b.Len(); got != int64(len(want)) {
		h.t.Errorf("got length %d, want %d", got, len(want))
	}
	for range 2 { // a retry reads from the start
		if got, err := io.ReadAll(b.NewReader()); err != nil || !bytes.Equal(got, want) {
			h.t.Errorf("Read: got %d bytes, %v, want the body of %d", len(got), err, len(want))
		}
		var got bytes.Buffer
		if n, err := b.NewReader().WriteTo(&got); err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			h.t.Errorf("WriteTo: got %d bytes, %v, want the body of %d", n, err, len(want))
		}
	}
	if got, inMemory := b.Bytes(); inMemory && !bytes.Equal(got, want) {
		h.t.Errorf("Bytes: got %d bytes, want the body of %d", len(got), len(want))
	}
	b.Free()
	h.checkGivenBack()
}

func (h *bodyHarness) checkGivenBack() {
	h.t.Helper()
	if h.arena.InUse() != 0 || h.dir.Files() != 0 || h.dir.InUse() != 0 {
		h.t.Errorf("got %d bytes, %d files, %d on disk at the end, want 0", h.arena.InUse(), h.dir.Files(), h.dir.InUse())
	}
}

func TestBody_SpillsAsNginxDoes(t *testing.T) {
	const declared, chunked = true, false
	f := func(size int, isDeclared bool, wantSpilled, wantMemory int64) {
		t.Helper()
		h := newBodyHarness(t, 0, 0)
		b := h.body(8 << 10)
		length := int64(-1)
		if isDeclared {
			length = int64(size)
		}
		want := pattern(size)
		if err := b.Fill(bytes.NewReader(want), length, 0); err != nil {
			t.Fatal(err)
		}
		if got := b.Spilled(); got != wantSpilled {
			t.Errorf("%d bytes: got %d spilled, want %d", size, got, wantSpilled)
		}
		if got := h.arena.InUse(); got != wantMemory {
			t.Errorf("%d bytes: got %d bytes of memory, want %d", size, got, wantMemory)
		}
		if _, inMemory := b.Bytes(); inMemory != (wantSpilled == 0) {
			t.Errorf("%d bytes: got in memory %v, want %v", size, inMemory, wantSpilled == 0)
		}
		if got, want := len(h.spills), min(int(wantSpilled), 1); got != want {
			t.Errorf("%d bytes: got %d spill callbacks, want %d", size, got, want)
		}
		h.check(b, want)
	}
	f(0, declared, 0, 0)
	f(1, declared, 0, 1<<10)
	f(8<<10, declared, 0, 8<<10)
	f(10<<10-1, declared, 0, 16<<10) // below 1.25 times the buffer: one exact buffer
	f(10<<10, declared, 8<<10, 8<<10)
	f(100_000, declared, 98_304, 8<<10)
	f(0, chunked, 0, 8<<10)
	f(8<<10-1, chunked, 0, 8<<10)
	f(8<<10+1, chunked, 8<<10, 8<<10)
	f(100_000, chunked, 98_304, 8<<10)
}

func TestBody_ReadsNoFurtherThanDeclared(t *testing.T) {
	h := newBodyHarness(t, 0, 0)
	next := bytes.NewReader(pattern(30_000))
	b := h.body(1 << 10)
	// OneByteReader would show a read too many: the connection may have nothing more to read, for ever.
	if err := b.Fill(iotest.OneByteReader(next), 20_000, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := next.Len(), 10_000; got != want {
		t.Errorf("got %d bytes left for the next request, want %d", got, want)
	}
	h.check(b, pattern(30_000)[:20_000])
}

func TestBody_EndsOfTheReader(t *testing.T) {
	lost := errors.New("connection reset")
	closed := fmt.Errorf("client closed the connection: %w", io.EOF)
	f := func(name string, r io.Reader, length, limit int64, want error) {
		t.Helper()
		h := newBodyHarness(t, 0, 0)
		b := h.body(1 << 10)
		if err := b.Fill(r, length, limit); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		b.Free()
		h.checkGivenBack()
	}
	data := func(n int) io.Reader { return bytes.NewReader(pattern(n)) }
	f("complete", data(5000), 5000, 0, nil)
	f("complete with the end", iotest.DataErrReader(data(5000)), 5000, 0, nil)
	f("complete with an error", io.MultiReader(data(5000), iotest.ErrReader(lost)), 5000, 0, nil)
	f("short", data(4999), 5000, 0, io.ErrUnexpectedEOF)
	f("empty but declared", data(0), 1, 0, io.ErrUnexpectedEOF)
	f("lost", io.MultiReader(data(4999), iotest.ErrReader(lost)), 5000, 0, lost)
	f("chunked, lost", io.MultiReader(data(5000), iotest.ErrReader(lost)), -1, 0, lost)
	f("chunked, lost with a wrapped end", io.MultiReader(data(5000), iotest.ErrReader(closed)), -1, 0, closed)
	f("at the limit", data(5000), 5000, 5000, nil)
	f("chunked at the limit", data(5000), -1, 5000, nil)
	f("declared too large", iotest.ErrReader(lost), 5001, 5000, buffering.ErrTooLarge)
	f("chunked too large", data(5001), -1, 5000, buffering.ErrTooLarge)
	f("chunked too large on disk", data(50_000), -1, 5000, buffering.ErrTooLarge)
	f("reader of nothing", nothing{}, 5000, 0, io.ErrNoProgress)
}

func TestBody_ChunkedTooLargeReadsOneBufferAtMostBeyondTheLimit(t *testing.T) {
	h := newBodyHarness(t, 0, 0)
	endless := &counter{Reader: endless{}}
	b := h.body(1 << 10)
	if err := b.Fill(endless, -1, 5000); !errors.Is(err, buffering.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, buffering.ErrTooLarge)
	}
	if endless.n > 6000+1<<10 {
		t.Errorf("got %d bytes read, want a buffer more than the limit at most", endless.n)
	}
	b.Free()
	h.checkGivenBack()
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestBody_DiskTroubleKeepsItInMemory(t *testing.T) {
	f := func(name string, disk int64, breakFolder bool) {
		t.Helper()
		h := newBodyHarness(t, 64<<10, disk)
		if breakFolder {
			if err := errors.Join(os.Remove(h.path), os.WriteFile(h.path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		b := h.body(8 << 10)
		want := pattern(50_000)
		if err := b.Fill(bytes.NewReader(want), -1, 0); err != nil {
			t.Errorf("%s: got %v, want no error: the memory is there", name, err)
		}
		if _, onePiece := b.Bytes(); onePiece {
			t.Errorf("%s: got one piece of memory, want several", name)
		}
		h.check(b, want)

		b = h.body(8 << 10)
		err := b.Fill(bytes.NewReader(pattern(500_000)), 500_000, 0)
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v, want the error of the disk: the memory is used up", name, err)
		}
		if !breakFolder && !errors.Is(err, buffering.ErrDiskBudget) {
			t.Errorf("%s: got %v, want %v", name, err, buffering.ErrDiskBudget)
		}
		b.Free()
		h.checkGivenBack()
	}
	f("small disk", 100, false)
	f("disk full half-way", 20_000, false)
	f("no folder", 0, true)
}

func TestBody_WithoutFolderStaysInMemory(t *testing.T) {
	arena := buffering.NewArena(64 << 10)
	b := buffering.NewBody(arena, nil, 8<<10, nil)
	want := pattern(50_000)
	if err := b.Fill(bytes.NewReader(want), -1, 0); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(b.NewReader()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want the body of %d", len(got), err, len(want))
	}
	b.Free()
	b = buffering.NewBody(arena, nil, 8<<10, nil)
	if err := b.Fill(bytes.NewReader(pattern(100_000)), -1, 0); !errors.Is(err, buffering.ErrBudget) {
		t.Errorf("got %v, want %v", err, buffering.ErrBudget)
	}
	b.Free()
	if got := arena.InUse(); got != 0 {
		t.Errorf("got %d bytes in use at the end, want 0", got)
	}
}

func TestBody_ReadersAtTheSameTime(t *testing.T) {
	h := newBodyHarness(t, 0, 0)
	b := h.body(4 << 10)
	want := pattern(300_000)
	if err := b.Fill(bytes.NewReader(want), -1, 0); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() { // ends with the body
			if got, err := io.ReadAll(b.NewReader()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, %v, want the body of %d", len(got), err, len(want))
			}
		})
	}
	readers.Wait()
	h.check(b, want)
}

func TestBodyReader_GoesOnWhereReadStopped(t *testing.T) {
	h := newBodyHarness(t, 0, 0)
	b := h.body(1 << 10)
	want := pattern(5000)
	if err := b.Fill(bytes.NewReader(want), -1, 0); err != nil {
		t.Fatal(err)
	}
	for _, first := range []int{0, 1, 4096, 4500, 5000} {
		r := b.NewReader()
		head := make([]byte, first)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Errorf("after %d: %v", first, err)
		}
		if got := r.Len(); got != int64(5000-first) {
			t.Errorf("got %d bytes left after %d, want %d", got, first, 5000-first)
		}
		var rest bytes.Buffer
		if n, err := r.WriteTo(&rest); n != int64(5000-first) || err != nil {
			t.Errorf("after %d: got %d, %v, want the rest", first, n, err)
		}
		if !bytes.Equal(slices.Concat(head, rest.Bytes()), want) {
			t.Errorf("got another body when read in two parts, the first of %d bytes", first)
		}
	}
	if n, err := b.NewReader().WriteTo(&brokenClient{takes: 4500}); n != 4500 && n != 4096 || !errors.Is(err, errClientGone) {
		t.Errorf("got %d, %v, want what the peer took and its error", n, err)
	}
	h.check(b, want)
}

func TestBody_PanicsOnDoubleFree(t *testing.T) {
	h := newBodyHarness(t, 0, 0)
	b := h.body(1)
	b.Free()
	defer func() {
		if got, want := recover(), "buffering: body freed twice"; got != want {
			t.Errorf("got panic %v, want %v", got, want)
		}
	}()
	b.Free()
}

func TestBody_SmallBodyAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes free lists forget")
	}
	arena := buffering.NewArena(0)
	data := bytes.NewReader(pattern(4000))
	allocs := testing.AllocsPerRun(100, func() {
		data.Seek(0, io.SeekStart)
		b := buffering.NewBody(arena, nil, 8<<10, nil)
		if err := b.Fill(data, 4000, 0); err != nil {
			t.Error(err)
		}
		b.Free()
	})
	if allocs >= 1 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}
