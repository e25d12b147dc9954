package buffering_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"spillway/buffering"
)

func TestPipe_BodyOf64KiBAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes free lists forget")
	}
	arena := buffering.NewArena(1 << 20)
	peer := bytes.NewReader(pattern(64 << 10))
	limits := buffering.Limits{Buffers: 8, BufferBytes: 8 << 10}
	allocs := testing.AllocsPerRun(100, func() { carry(t, arena, nil, limits, peer) })
	if allocs >= 1 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// carry fills a pipe from the start of peer and then delivers it.
func carry(tb testing.TB, arena *buffering.Arena, dir *buffering.SpillDir, limits buffering.Limits, peer *bytes.Reader) {
	tb.Helper()
	peer.Seek(0, io.SeekStart)
	p := buffering.NewPipe(buffering.PipeOptions{Arena: arena, Dir: dir, Limits: limits})
	first := arena.Get(4 << 10)
	first.W, _ = peer.Read(first.B)
	p.Take(first)
	if err := p.Fill(peer); err != nil {
		tb.Error(err)
	}
	if n, err := p.WriteTo(onlyWriter{}); err != nil || n != peer.Size() {
		tb.Errorf("got %d, %v, want %d", n, err, peer.Size())
	}
	p.Free()
}

// onlyWriter is io.Discard without its other methods.
type onlyWriter struct{}

func (onlyWriter) Write(b []byte) (int, error) { return len(b), nil }

func TestPipe_CarriesOverRealConnections(t *testing.T) {
	for _, size := range []int{0, 1, 10_000, 8 << 20} {
		h := newHarness(t, smallLimits())
		peer, peerEnd := connection(t)
		client, clientEnd := connection(t)
		want := pattern(size)
		go func() { // ends when all was sent
			peerEnd.Write(want)
			peerEnd.Close()
		}()
		filled := h.fill(peer)
		delivered := make(chan error, 1)
		go func() { // ends when all was delivered
			_, err := h.pipe.WriteTo(client)
			client.Close()
			h.pipe.Free()
			delivered <- err
		}()
		got, err := io.ReadAll(clientEnd)
		if err != nil {
			t.Error(err)
		}
		for _, end := range []<-chan error{filled, delivered} {
			if err := <-end; err != nil {
				t.Error(err)
			}
		}
		h.checkBody(got, want)
		h.checkGivenBack()
	}
}

// connection returns both ends of a TCP connection.
func connection(tb testing.TB) (near, far net.Conn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	far, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	near, err = listener.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return near, far
}

func BenchmarkPipe(b *testing.B) {
	dir, err := buffering.OpenSpillDir(b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	f := func(name string, size int, limits buffering.Limits) {
		b.Run(name, func(b *testing.B) {
			arena := buffering.NewArena(1 << 30)
			peer := bytes.NewReader(pattern(size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				carry(b, arena, dir, limits, peer)
			}
		})
	}
	f("memory-1KiB", 1<<10, buffering.Limits{Buffers: 8, BufferBytes: 8 << 10})
	f("memory-64KiB", 64<<10, buffering.Limits{Buffers: 8, BufferBytes: 8 << 10})
	f("memory-1MiB", 1<<20, buffering.Limits{Buffers: 256, BufferBytes: 8 << 10})
	f("memory-1MiB-large", 1<<20, buffering.Limits{Buffers: 16, BufferBytes: 64 << 10, BusySize: 128 << 10})
	b.Run("stream-8MiB", benchmarkStream)
	b.Run("connections-8MiB", benchmarkConnections)
}

// benchmarkConnections has a peer and a client that are connections, where every piece costs two system calls.
func benchmarkConnections(b *testing.B) {
	arena := buffering.NewArena(1 << 30)
	peer, peerEnd := connection(b)
	client, clientEnd := connection(b)
	body := pattern(8 << 20)
	go io.Copy(io.Discard, clientEnd) // ends with the connection
	go func() {                       // ends with the connection
		for err := error(nil); err == nil; {
			_, err = peerEnd.Write(body)
		}
	}()
	limits := buffering.Limits{Buffers: 8, BufferBytes: 8 << 10, BusySize: 32 << 10}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		p := buffering.NewPipe(buffering.PipeOptions{Arena: arena, Limits: limits})
		go p.Fill(io.LimitReader(peer, int64(len(body)))) // ends with the body
		if _, err := p.WriteTo(client); err != nil {
			b.Error(err)
		}
		p.Free()
	}
}

// benchmarkStream has both sides at work, with a client as fast as the peer.
func benchmarkStream(b *testing.B) {
	arena := buffering.NewArena(1 << 30)
	peer := bytes.NewReader(pattern(8 << 20))
	b.SetBytes(peer.Size())
	b.ReportAllocs()
	for b.Loop() {
		peer.Seek(0, io.SeekStart)
		p := buffering.NewPipe(buffering.PipeOptions{
			Arena: arena, Limits: buffering.Limits{Buffers: 8, BufferBytes: 8 << 10},
		})
		go p.Fill(peer) // ends with the body
		if _, err := p.WriteTo(onlyWriter{}); err != nil {
			b.Error(err)
		}
		p.Free()
	}
}

func BenchmarkArena(b *testing.B) {
	arena := buffering.NewArena(1 << 30)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			arena.Put(arena.TryGet(8 << 10))
		}
	})
}
