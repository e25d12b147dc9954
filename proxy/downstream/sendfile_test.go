package downstream_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

// filed is a content that has its writer take it from a file, behind a first byte.
type filed struct {
	content

	file   *os.File
	size   int64
	extra  int64      // as much more than there is
	result chan error // of SendFile
}

// newFiled returns a content with so many bytes in the file.
func newFiled(t *testing.T, size int) (*filed, []byte) {
	t.Helper()
	body := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := file.Write(body); err != nil {
		t.Fatal(err)
	}
	return &filed{file: file, size: int64(len(body)), result: make(chan error, 1)}, append([]byte("x"), body...)
}

func (c *filed) WriteTo(w io.Writer) (int64, error) {
	send := w.(interface {
		SendFile(file *os.File, offset, n int64) (int64, error)
	}).SendFile
	if n, err := send(c.file, 0, c.size); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
		return n, errors.Join(errors.New("a file before the head"), err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		return 0, err
	}
	n, err := send(c.file, 0, c.size+c.extra)
	c.result <- err
	if errors.Is(err, errors.ErrUnsupported) {
		return io.Copy(onlyWriter{w}, io.NewSectionReader(c.file, 0, c.size))
	}
	return n + 1, err
}

type onlyWriter struct{ io.Writer }

// startFiled answers with the content, and returns what is noted of it in the end.
func startFiled(t *testing.T, c *filed, length, rate int64, options func(*downstream.Options)) (*server, chan int64) {
	t.Helper()
	sent := make(chan int64, 1)
	return start(t, func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(200)
		ex.Content, ex.Length, ex.LimitRate = c, length, rate
		return nil
	}, options, func(ex *proxy.Exchange) { sent <- ex.BodyBytesSent }), sent
}

// TestListener_SendsContentFromAFile: as it is, where that may be.
func TestListener_SendsContentFromAFile(t *testing.T) {
	f := func(what string, declared bool, rate int64, direct bool) {
		t.Helper()
		c, want := newFiled(t, 8<<20)
		length := int64(-1)
		if declared {
			length = int64(len(want))
		}
		s, sent := startFiled(t, c, length, rate, nil)
		client := s.connect()
		for range 2 { // the connection goes on
			if status, body, _ := client.send(getHello).response("GET"); status != 200 || body != string(want) {
				t.Errorf("%s: got status %d and %d bytes", what, status, len(body))
			}
			if got := <-sent; got != int64(len(want)) {
				t.Errorf("%s: got %d bytes counted, want %d", what, got, len(want))
			}
			if err := <-c.result; direct && err != nil || !direct && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: got %v from SendFile", what, err)
			}
		}
	}
	f("a length", true, 0, sendsFiles())
	f("chunks", false, 0, false)
	f("a rate", true, 1<<30, false)
}

func TestListener_SendsNoMoreOfAFileThanItsLength(t *testing.T) {
	c, want := newFiled(t, 1<<20)
	if c.extra = 1; !sendsFiles() {
		t.Skip("files are not sent")
	}
	s, sent := startFiled(t, c, int64(len(want)), 0, nil)
	s.connect().send(getHello)
	if err := <-c.result; err == nil || <-sent != 1 {
		t.Errorf("got %v", err)
	}
}

// TestListener_EndsAFileThatIsNotTaken: by the send timeout, or with the client.
func TestListener_EndsAFileThatIsNotTaken(t *testing.T) {
	f := func(timeout time.Duration, leave func(c *client), want error) {
		t.Helper()
		c, body := newFiled(t, 32<<20)
		s, sent := startFiled(t, c, int64(len(body)), 0, func(o *downstream.Options) { o.SendTimeout = timeout })
		client := s.connect().send(getHello)
		if _, err := client.r.ReadByte(); err != nil {
			t.Fatal(err)
		}
		leave(client)
		err := <-c.result
		if got := <-sent; sendsFiles() && (err == nil || want != nil && !errors.Is(err, want) || got < 1 || got >= int64(len(body))) {
			t.Errorf("got %v with %d bytes counted, want %v", err, got, want)
		}
	}
	f(time.Millisecond, func(*client) {}, os.ErrDeadlineExceeded)
	f(time.Hour, func(c *client) {
		c.reset()
	}, nil)
}
