//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// file returns a file with the content.
func file(tb testing.TB, content []byte) *os.File {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "file"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		tb.Fatal(err)
	}
	return f
}

// TestSendFile_SendsAll: of more than the socket takes, in a task and on a goroutine.
func TestSendFile_SendsAll(t *testing.T) {
	const before = 1000
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	f := file(t, content)
	want := content[before:]
	check := func(near *descriptor, far net.Conn) {
		got := make(chan []byte)
		go func() { // ends when all has come
			b := make([]byte, len(want))
			_, _ = io.ReadFull(far, b)
			got <- b
		}()
		n, err := near.SendFile(f, before, int64(len(want)))
		if n != int64(len(want)) || err != nil {
			t.Errorf("got %d, %v, want %d bytes", n, err, len(want))
			near.Close()
		}
		if !bytes.Equal(<-got, want) {
			t.Error("the other side got other bytes")
		}
	}
	check(ends(t))
	near, far := ends(t)
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		check(near, far)
	})
}

// TestSendFile_EndsWithTheWait: by a deadline and by Close; what was sent until then is counted.
func TestSendFile_EndsWithTheWait(t *testing.T) {
	const size = 64 << 20 // more than the sockets take
	f := file(t, nil)
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	check := func(want error, end func(near *descriptor)) {
		t.Helper()
		near, far := ends(t)
		sent, ended := int64(0), make(chan error)
		go func() { // ends with the wait
			var err error
			sent, err = near.SendFile(f, 0, size)
			ended <- err
		}()
		for near.Writable() { // until the socket is full
			runtime.Gosched()
		}
		end(near)
		if err := <-ended; !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		near.Close()
		if got, _ := io.Copy(io.Discard, far); got != sent || sent == 0 {
			t.Errorf("got %d bytes, and %d counted", got, sent)
		}
		if n, err := near.SendFile(f, 0, 1); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %d, %v after Close, want %v", n, err, net.ErrClosed)
		}
	}
	check(os.ErrDeadlineExceeded, func(near *descriptor) { _ = near.SetWriteDeadline(time.Unix(1, 0)) })
	check(net.ErrClosed, func(near *descriptor) { near.Close() })
}

// TestSendFile_LeavesToTheReaderWhatIsWrongWithTheFile: less than was asked for is no error, nothing is one of its kind, and the
// socket goes on.
func TestSendFile_LeavesToTheReaderWhatIsWrongWithTheFile(t *testing.T) {
	near, far := ends(t)
	text := []byte("text")
	f := file(t, text)
	if n, err := near.SendFile(f, 1, 100); n != 3 || err != nil {
		t.Errorf("got %d, %v, want the 3 bytes that there are", n, err)
	}
	closed := file(t, text)
	closed.Close()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	for name, f := range map[string]*os.File{"end": f, "closed": closed, "no file": in} {
		if n, err := near.SendFile(f, 4, 1); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %d, %v, want %v", name, n, err, errors.ErrUnsupported)
		}
	}
	if _, err := near.Write([]byte("!")); err != nil {
		t.Error(err)
	}
	near.Close()
	if got, err := io.ReadAll(far); string(got) != "ext!" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSendFile_SaysThatTheOtherSideIsGone: that is no matter of the file.
func TestSendFile_SaysThatTheOtherSideIsGone(t *testing.T) {
	near, far := ends(t)
	f := file(t, make([]byte, 1<<20))
	_ = far.(*net.TCPConn).SetLinger(0)
	far.Close()
	var err error
	for err == nil {
		_, err = near.SendFile(f, 0, 1<<20)
	}
	if operation := (*net.OpError)(nil); errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &operation) {
		t.Errorf("got %v, want an error of the connection", err)
	}
}

// TestSendFile_WhatIsOnItsWayOutlivesTheFile: the space may be given back to the system, and used again.
func TestSendFile_WhatIsOnItsWayOutlivesTheFile(t *testing.T) {
	near, far := ends(t)
	want := bytes.Repeat([]byte("0123456789abcde\n"), 2<<10) // as much as the sockets take
	f := file(t, want)
	if n, err := near.SendFile(f, 0, int64(len(want))); n != int64(len(want)) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, len(want)), 0); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if got, err := io.ReadAll(far); !bytes.Equal(got, want) || err != nil {
		t.Errorf("got %d other bytes than were sent, %v", len(got), err)
	}
}
