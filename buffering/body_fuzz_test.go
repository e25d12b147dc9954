package buffering_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"spillway/buffering"
)

// FuzzBody fills a body in random pieces with random limits and compares it with a bytes.Buffer.
func FuzzBody(f *testing.F) {
	f.Add(uint16(8192), int32(9000), uint16(0), uint16(0), uint16(0), []byte{255, 255, 255})
	f.Add(uint16(100), int32(-1), uint16(4000), uint16(10_000), uint16(2000), []byte{9, 100, 0, 200, 255})
	f.Add(uint16(1), int32(0), uint16(1), uint16(1), uint16(1), []byte{})
	f.Add(uint16(2000), int32(-1), uint16(60_000), uint16(16_384), uint16(3000), []byte{255, 255, 255, 255, 255})
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, memory uint16, length int32, limit, memoryBudget, disk uint16, script []byte) {
		if len(script) > 100 {
			return
		}
		dir, err := buffering.OpenSpillDir(folder, int64(disk))
		if err != nil {
			t.Fatal(err)
		}
		arena := buffering.NewArena(int64(memoryBudget))
		spills := 0
		b := buffering.NewBody(arena, dir, int(memory), func(string) { spills++ })
		peer := &bodySender{script: script}
		fillErr := b.Fill(peer, max(int64(length), -1), int64(limit))
		want := peer.sent.Bytes()
		checkFill(t, fillErr, max(int64(length), -1), int64(limit), want, peer.ended)

		if got := b.Len(); got != int64(len(want)) {
			t.Errorf("got length %d, want %d", got, len(want))
		}
		if got, err := io.ReadAll(b.NewReader()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Read: got %d bytes, %v, want %d", len(got), err, len(want))
		}
		var written bytes.Buffer
		if n, err := b.NewReader().WriteTo(&written); err != nil || n != b.Len() || !bytes.Equal(written.Bytes(), want) {
			t.Errorf("WriteTo: got %d bytes, %v, want %d", n, err, len(want))
		}
		if got, inMemory := b.Bytes(); inMemory && !bytes.Equal(got, want) {
			t.Errorf("Bytes: got %d bytes, want %d", len(got), len(want))
		}
		if disk > 0 && dir.InUse() > int64(disk) {
			t.Errorf("got %d bytes on disk, want the budget of %d at most", dir.InUse(), disk)
		}
		if spills > 1 {
			t.Errorf("got %d spill callbacks, want one at most", spills)
		}
		b.Free()
		if arena.InUse() != 0 || dir.Files() != 0 || dir.InUse() != 0 {
			t.Errorf("got %d bytes, %d files, %d on disk at the end, want 0", arena.InUse(), dir.Files(), dir.InUse())
		}
	})
}

// checkFill says which end belongs to what was read.
func checkFill(t *testing.T, err error, length, limit int64, sent []byte, ended bool) {
	t.Helper()
	n := int64(len(sent))
	tooLarge := limit > 0 && (length > limit || n > limit)
	switch {
	case errors.Is(err, buffering.ErrTooLarge) != tooLarge:
		t.Errorf("got %v for %d of %d bytes with limit %d", err, n, length, limit)
	case err == nil && length >= 0 && n != length:
		t.Errorf("got no error for %d of %d bytes", n, length)
	case err == nil && length < 0 && !ended:
		t.Errorf("got no error before the end of the body")
	case errors.Is(err, io.ErrUnexpectedEOF) && (length < 0 || n >= length):
		t.Errorf("got %v for %d of %d bytes", err, n, length)
	}
}

// bodySender sends random pieces: each byte of its script is a size in units of 40 bytes.
type bodySender struct {
	script []byte
	sent   bytes.Buffer
	ended  bool
}

func (s *bodySender) Read(b []byte) (int, error) {
	if len(s.script) == 0 {
		s.ended = true
		return 0, io.EOF
	}
	n := min(len(b), int(s.script[0])*40)
	s.script = s.script[1:]
	for i := range b[:n] {
		b[i] = byte((s.sent.Len() + i) * 31 >> 3)
	}
	s.sent.Write(b[:n])
	return n, nil
}
