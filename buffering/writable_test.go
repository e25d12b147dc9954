package buffering_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// talker is a client that can be asked; the answer may be another one each time.
type talker struct {
	io.Writer
	answer func(question int) bool
	asked  int
}

func (c *talker) Writable() bool {
	c.asked++
	return c.answer(c.asked)
}

func always(int) bool { return true }
func never(int) bool  { return false }

func TestPipe_ClientThatTakesMoreNeverSpills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(1 << 20)
		slow := &slowClient{bytesPerSecond: 1e6}
		client := &talker{Writer: slow, answer: always}
		filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(slow.Bytes(), want)
		h.checkGivenBack()
		if len(h.spills) != 0 {
			t.Errorf("got %+v, want no spill", h.dir.Stats())
		}
		if client.asked == 0 || client.asked > 50 {
			t.Errorf("got the client asked %d times in a second, want once per 20 ms at most", client.asked)
		}
	})
}

func TestPipe_ClientThatTakesNoMoreSpillsAfterItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(1 << 20)
		slow := &slowClient{bytesPerSecond: 200e3}
		client := &talker{Writer: slow, answer: never}
		began := time.Now()
		filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("got the peer free after %v, want the client's patience at most", took)
		}
		if client.asked != 1 {
			t.Errorf("got the client asked %d times, want once: then it is behind", client.asked)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(slow.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_ClientIsNotAskedWhileBytesAreLeftInTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		slow := &slowClient{bytesPerSecond: 200e3}
		client := &talker{Writer: slow, answer: func(question int) bool { return question > 1 }}
		peer := newTap()
		filled, delivered := h.fill(peer), h.deliver(client)
		want := pattern(1 << 20)
		for rest := want; len(rest) > 0; rest = rest[64<<10:] {
			peer.send(rest[:64<<10])
			time.Sleep(50 * time.Millisecond) // the client takes 10 KB
		}
		peer.close()
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if client.asked != 1 {
			t.Errorf("got the client asked %d times, want once: it has been behind since", client.asked)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(slow.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_ClientIsAskedAgainWhenTheFileIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		slow := &slowClient{bytesPerSecond: 1e6}
		client := &talker{Writer: slow, answer: func(question int) bool { return question > 1 }}
		peer := newTap()
		filled, delivered := h.fill(peer), h.deliver(client)
		want := pattern(512 << 10)
		peer.send(want[:256<<10])
		time.Sleep(time.Second)
		spilled := h.pipe.Spilled()
		peer.send(want[256<<10:])
		peer.close()
		if err := <-filled; err != nil {
			t.Error(err)
		}
		if got := h.pipe.Spilled(); spilled == 0 || got != spilled {
			t.Errorf("got %d and %d bytes spilled, want some of the first half and none of the second", spilled, got)
		}
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(slow.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_ClientThatOnlySaysThatItTakesMoreSpills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(1 << 20)
		closed := newGate()
		client := &talker{Writer: closed, answer: always}
		delivered := h.deliver(client)
		began := time.Now()
		h.fillAll(want)
		if got, want := time.Since(began), 26*20*time.Millisecond; got != want {
			t.Errorf("got the peer waiting for %v, want %v", got, want)
		}
		close(closed.opened)
		if err := <-delivered; err != nil {
			t.Error(err)
		}
		h.checkBody(closed.Bytes(), want)
		h.checkGivenBack()
	})
}

func TestPipe_ClientThatTakesDuringTheQuestionNeedsNoSpill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, smallLimits())
		want := pattern(64 << 10)
		closed := newGate()
		client := &talker{Writer: closed, answer: func(question int) bool {
			if question == 1 {
				close(closed.opened)
				synctest.Wait() // all that is in memory has been delivered
			}
			return false
		}}
		filled, delivered := h.fill(bytes.NewReader(want)), h.deliver(client)
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(closed.Bytes(), want)
		h.checkGivenBack()
		if client.asked != 1 || len(h.spills) != 0 {
			t.Errorf("got %d questions and %d spills, want one question and no spill", client.asked, len(h.spills))
		}
	})
}

func TestPipe_ClientThatBeginsToTakeDuringTheQuestionNeedsNoSpill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := smallLimits()
		limits.BusySize = 8 << 10 // all of the memory
		h := newHarness(t, limits)
		want := pattern(16 << 10)
		head, body := newGate(), newGate()
		client := &talker{Writer: body, answer: func(question int) bool {
			if question == 1 {
				close(head.opened)
				synctest.Wait() // all that is in memory is on its way
			}
			return false
		}}
		peer := newTap()
		filled, delivered := h.fill(peer), h.deliver(&flushed{talker: client, gate: head})
		synctest.Wait()
		peer.send(want)
		peer.close()
		time.Sleep(time.Second)
		close(body.opened)
		if err := errors.Join(<-filled, <-delivered); err != nil {
			t.Error(err)
		}
		h.checkBody(body.Bytes(), want)
		h.checkGivenBack()
		if client.asked != 1 || len(h.spills) != 0 {
			t.Errorf("got %d questions and %d spills, want one question and no spill", client.asked, len(h.spills))
		}
	})
}

// flushed is a client whose head is held up.
type flushed struct {
	*talker

	gate *gate
}

func (c *flushed) Flush() error {
	<-c.gate.opened
	return nil
}
