package buffering

import (
	"bytes"
	"io"
	"strconv"
	"testing"
)

// BenchmarkSpill carries a body through the spill file. It takes the patience away beforehand, which needs the
// internals: otherwise each round would wait for a client that is not there.
func BenchmarkSpill(b *testing.B) {
	dir, err := OpenSpillDir(b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	arena := NewArena(0)
	for _, kib := range []int{128, 1024, 16 << 10} {
		b.Run(strconv.Itoa(kib)+"KiB", func(b *testing.B) {
			peer := bytes.NewReader(make([]byte, kib<<10))
			b.SetBytes(peer.Size())
			b.ReportAllocs()
			for b.Loop() {
				peer.Seek(0, io.SeekStart)
				p := NewPipe(PipeOptions{
					Arena: arena, Dir: dir,
					Limits: Limits{Buffers: 8, BufferBytes: 8 << 10, MaxTempFile: 1 << 30},
				})
				p.patience.lend()
				if err := p.Fill(peer); err != nil {
					b.Fatal(err)
				}
				if n, err := p.WriteTo(discard{}); err != nil || n != peer.Size() {
					b.Fatalf("got %d, %v, want %d", n, err, peer.Size())
				}
				p.Free()
			}
		})
	}
}

// discard is io.Discard without its other methods.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
