package network

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestCopySlowly_TakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to bytes.Buffer
		began := time.Now()
		err := CopySlowly(&to, strings.NewReader(strings.Repeat("x", 1010)), 1000, nil)
		if took := time.Since(began); err != nil || to.Len() != 1010 || took != 1050*time.Millisecond {
			t.Errorf("got %d bytes, %v, after %v, want 1010 after 1.05 s", to.Len(), err, took)
		}
	})
}

func TestCopySlowly_EndsInAHurry(t *testing.T) {
	hurry := make(chan struct{})
	close(hurry)
	from := strings.NewReader(strings.Repeat("x", 1<<20))
	if err := CopySlowly(io.Discard, from, 1000, hurry); err != nil || from.Len() == 0 {
		t.Errorf("got %v with %d bytes left, want some", err, from.Len())
	}
}

func TestCopySlowly_ErrorOfTheReader(t *testing.T) {
	broken := errors.New("broken")
	if err := CopySlowly(io.Discard, iotest.ErrReader(broken), 1000, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
