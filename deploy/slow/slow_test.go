package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"spillway/deploy/internal/peers"
)

// A client against a peer itself, without a proxy: each pace, with the right bytes and with wrong ones.
func TestClient_ComparesWhatItReads(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, other := newBodies(2, 300<<10), newBodies(2, 300<<10)
	other.block[len(other.block)-1]++ // the last byte of the last body
	freed := make(chan time.Time, b.count)
	set, err := peers.Start(ctx, "http", 1, answerWith(b, freed))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	hurry := make(chan struct{})
	close(hurry)
	for n, want := range []*bodies{b, other} {
		c, err := dial(ctx, set.Addrs[0], n*1000, hurry)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		number, err := c.get(want)
		if number != n && want == b || (err == nil) != (want == b) {
			t.Errorf("body %d: got number %d, %v", n, number, err)
		}
		c.conn.Close()
		<-freed
	}
}

func TestComparison(t *testing.T) {
	c := &comparison{[]byte("abc")}
	if _, err := c.Write([]byte("ab")); err != nil {
		t.Error(err)
	}
	if err := c.end(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an early end", err)
	}
	for _, text := range []string{"x", "cd"} {
		if _, err := c.Write([]byte(text)); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
	if _, err := c.Write([]byte("c")); err != nil || c.end() != nil {
		t.Errorf("got %v, %v", err, c.end())
	}
}
