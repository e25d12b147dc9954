package buffering

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestPipe_ErrorOfTheSpillFileCutsTheBody closes the file underneath, so it needs the internals.
func TestPipe_ErrorOfTheSpillFileCutsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(name string, want error, harm func(f *os.File)) {
			t.Helper()
			p, arena, dir := spilledPipe(t)
			harm(p.file.file)
			var got bytes.Buffer
			if _, err := p.WriteTo(&got); !errors.Is(err, want) {
				t.Errorf("%s: WriteTo got %v, want %v", name, err, want)
			}
			if got.Len() > 0 {
				t.Errorf("%s: got %d bytes delivered, want none", name, got.Len())
			}
			if _, err := p.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("%s: Read got %v, want %v", name, err, want)
			}
			p.Free()
			if arena.InUse() != 0 || dir.Files() != 0 || dir.InUse() != 0 {
				t.Errorf("%s: got %d bytes, %d files, %d on disk at the end, want 0", name, arena.InUse(), dir.Files(), dir.InUse())
			}
			if dir.Stats().Errors == 0 {
				t.Errorf("%s: got no error counted", name)
			}
		}
		f("closed", os.ErrClosed, func(f *os.File) { f.Close() })
		f("cut short", io.ErrUnexpectedEOF, func(f *os.File) {
			if err := f.Truncate(1); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// TestPipe_FileThatCannotBeEmptiedStaysAccountedFor delivers the file and then finds that it cannot be truncated.
func TestPipe_FileThatCannotBeEmptiedStaysAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, dir := spilledPipe(t)
		client := &closingClient{file: p.file.file, left: int(p.fileW)}
		if _, err := p.WriteTo(client); err != nil {
			t.Errorf("got %v, want no error: all bytes were delivered", err)
		}
		if dir.InUse() == 0 {
			t.Error("got no bytes on disk accounted for, want those that could not be given back")
		}
		if p.fileW == 0 || p.fileR != p.fileW {
			t.Errorf("got %d to %d of the file in use, want that its space is not used again", p.fileR, p.fileW)
		}
		p.Free()
		if dir.InUse() != 0 {
			t.Errorf("got %d bytes on disk at the end, want 0", dir.InUse())
		}
	})
}

// closingClient closes the spill file when it has got all of its bytes.
type closingClient struct {
	file *os.File
	left int
}

func (c *closingClient) Write(b []byte) (int, error) {
	c.left -= len(b)
	if c.left == 0 {
		c.file.Close()
	}
	return len(b), nil
}

// TestPipe_DoesNotSpillWhileTheFileIsEmptied stands between the two sides where no test from outside gets.
func TestPipe_DoesNotSpillWhileTheFileIsEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, err := OpenSpillDir(t.TempDir(), 0)
		if err != nil {
			t.Fatal(err)
		}
		p := NewPipe(PipeOptions{
			Arena: NewArena(0), Dir: dir, Limits: Limits{Buffers: 2, BufferBytes: 1024, MaxTempFile: 1 << 20},
		})
		p.moving = true // as during emptyFile
		filled := make(chan error, 1)
		go func() { filled <- p.Fill(bytes.NewReader(make([]byte, 20_000))) }() // ends when the file is free again
		time.Sleep(time.Minute)
		if got := p.Spilled(); got != 0 {
			t.Errorf("got %d bytes spilled to a file that is being emptied, want 0", got)
		}
		p.mu.Lock()
		p.moving = false
		p.wakeFill()
		p.mu.Unlock()
		if err := <-filled; err != nil {
			t.Error(err)
		}
		p.Free()
	})
}

func spilledPipe(t *testing.T) (*Pipe, *Arena, *SpillDir) {
	t.Helper()
	dir, err := OpenSpillDir(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	arena := NewArena(0)
	p := NewPipe(PipeOptions{
		Arena: arena, Dir: dir, Limits: Limits{Buffers: 2, BufferBytes: 1024, MaxTempFile: 1 << 20},
	})
	if err := p.Fill(bytes.NewReader(make([]byte, 20_000))); err != nil {
		t.Fatal(err)
	}
	return p, arena, dir
}
