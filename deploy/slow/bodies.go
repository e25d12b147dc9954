package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
)

// shift is how far the bodies are apart in the block that they are cut from: odd, so that a buffer of one body is nowhere
// in the same place of another.
const shift = 4099

// bodies are responses that differ from each other in every place.
type bodies struct {
	block []byte // random
	count int
	size  int
}

func newBodies(count, size int) *bodies {
	b := &bodies{block: make([]byte, size+(count-1)*shift), count: count, size: size}
	_, _ = rand.NewChaCha8([32]byte{}).Read(b.block) // always fills it
	return b
}

// body is the nth one.
func (b *bodies) body(n int) []byte { return b.block[n*shift:][:b.size] }

// A comparison takes what a client reads.
type comparison struct {
	rest []byte // of the body that should come
}

// Write fails at the first part that differs.
func (c *comparison) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.rest, p) {
		return 0, fmt.Errorf("wrong bytes, %d before the end", len(c.rest))
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

func (c *comparison) end() error {
	if len(c.rest) > 0 {
		return fmt.Errorf("%d bytes before the end: %w", len(c.rest), io.ErrUnexpectedEOF)
	}
	return nil
}

// A dealer gives each request a number once.
type dealer struct{ last atomic.Int64 }

// next returns 0, 1, 2, ...
func (d *dealer) next() int { return int(d.last.Add(1)) - 1 }
