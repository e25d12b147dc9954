package buffering_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// fileClient is a slow client that takes n bytes of a file at most, if it takes files.
type fileClient struct {
	slowClient
	n    int64 // 0: it takes none
	took int64 // bytes of files
}

func (c *fileClient) SendFile(file *os.File, offset, n int64) (int64, error) {
	if c.n == 0 {
		return 0, errors.ErrUnsupported
	}
	b := make([]byte, min(n, c.n))
	if _, err := file.ReadAt(b, offset); err != nil {
		return 0, err
	}
	c.took += int64(len(b))
	_, err := c.Write(b)
	return int64(len(b)), err
}

func TestPipe_SendsWhatIsInTheFile(t *testing.T) {
	f := func(n int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, smallLimits())
			client := &fileClient{slowClient: slowClient{bytesPerSecond: 1e6}, n: n}
			peer := newTap()
			filled, delivered := h.fill(peer), h.deliver(client)
			want := pattern(512 << 10)
			for rest := want; len(rest) > 0; rest = rest[128<<10:] {
				peer.send(rest[:128<<10])
				time.Sleep(time.Second) // the client catches up, and the file is used again from its start
			}
			peer.close()
			if err := errors.Join(<-filled, <-delivered); err != nil {
				t.Error(err)
			}
			h.checkBody(client.Bytes(), want)
			if spilled := h.dir.Stats().Bytes; n > 0 && client.took != spilled || n == 0 && client.took != 0 || spilled == 0 {
				t.Errorf("got %d bytes sent from the file with %d in it", client.took, spilled)
			}
			if n == 0 && client.largest > int(smallLimits().BusySize) {
				t.Errorf("got a write of %d bytes, want %d at most", client.largest, smallLimits().BusySize)
			}
			h.checkGivenBack()
		})
	}
	f(0)
	f(1000)
	f(1 << 20)
}

// lostClient takes files until it has taken so much.
type lostClient struct {
	gate
	left int64
}

func (c *lostClient) SendFile(_ *os.File, _, n int64) (int64, error) {
	if n > c.left {
		return c.left, errClientGone
	}
	c.left -= n
	return n, nil
}

func TestPipe_CountsWhatALostClientHasTakenOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		h.fillAll(pattern(100 << 10))
		client := &lostClient{gate: *newGate(), left: 5000}
		close(client.opened)
		n, err := h.pipe.WriteTo(client)
		if want := int64(client.Len()) + 5000; n != want || !errors.Is(err, errClientGone) {
			t.Errorf("got %d, %v, want %d bytes and %v", n, err, want, errClientGone)
		}
		h.pipe.Free()
		h.checkGivenBack()
	})
}
