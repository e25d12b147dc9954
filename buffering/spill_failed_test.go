package buffering_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"spillway/buffering"
)

// The disk takes the first buffer of a batch and not the second: neither keeps a part of the budget.
func TestPipe_FailedSpillGivesItsSpaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarnessWithBudgets(t, evenLimits(), 0, 3<<10)
		body := pattern(20 << 10)
		filled := h.fill(bytes.NewReader(body))
		<-time.After(time.Second / 2) // the patience is used up, and the spill has failed
		synctest.Wait()
		if len(h.errors) != 1 || h.dir.InUse() != 0 {
			t.Errorf("got errors %v, %d bytes in use, want one error and nothing in use", h.errors, h.dir.InUse())
		}
		h.checkBody(h.deliverAll(), body)
		if err := <-filled; err != nil {
			t.Error(err)
		}
		h.checkGivenBack()
	})
}

// The deliver side reads the file to its end while the fill side is at a spill that fails.
func TestPipe_FailedSpillGivesAReadFileBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const inFile = 4 << 10
		h := newHarnessWithBudgets(t, evenLimits(), 0, inFile)
		h.pipe.CloseWrite(nil)
		h.pipe.Free()
		body, got := pattern(20<<10), make([]byte, 20<<10)
		h.pipe = buffering.NewPipe(buffering.PipeOptions{
			Arena: h.arena, Dir: h.dir, Limits: evenLimits(),
			OnSpillError: func(error) { // the spill is not over yet
				if _, err := io.ReadFull(h.pipe, got[:inFile]); err != nil {
					t.Error(err)
				}
			},
		})
		filled := h.fill(bytes.NewReader(body))
		<-time.After(time.Second / 2)
		synctest.Wait()
		if used := h.dir.InUse(); used != 0 {
			t.Errorf("got %d bytes in use, want 0", used)
		}
		if _, err := io.ReadFull(h.pipe, got[inFile:]); err != nil {
			t.Error(err)
		}
		if err := <-filled; err != nil {
			t.Error(err)
		}
		h.pipe.Free()
		h.checkBody(got, body)
		h.checkGivenBack()
	})
}
