package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
)

// A pattern is an endless reader of the bytes that belong to one name and to no other: 64 after another, which are the hash
// of the name and a number, in hexadecimal. Every language has that at hand.
type pattern struct {
	name string
	next int    // number of the next 64 bytes
	rest []byte // of the last 64, in text
	text [2 * sha256.Size]byte
}

// answerTo is what the body of an answer is made of, bodyOf the one of a request.
func answerTo(id uint64) *pattern { return &pattern{name: strconv.FormatUint(id, 10)} }
func bodyOf(id uint64) *pattern   { return &pattern{name: "body " + strconv.FormatUint(id, 10)} }

// Read fills b; there is no error and no end.
func (p *pattern) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if len(p.rest) == 0 {
			sum := sha256.Sum256(strconv.AppendInt(append([]byte(p.name), ':'), int64(p.next), 10))
			hex.Encode(p.text[:], sum[:])
			p.rest = p.text[:]
			p.next++
		}
		moved := copy(b[n:], p.rest)
		n, p.rest = n+moved, p.rest[moved:]
	}
	return len(b), nil
}

// errByte is what a comparison fails with; it says nothing that would differ from one to the next: they are counted by it.
var errByte = errors.New("a wrong byte")

// A comparison is a writer that takes the first size bytes of a pattern and nothing else.
type comparison struct {
	want *pattern
	left int
	room [4096]byte
}

func (c *comparison) Write(b []byte) (int, error) {
	if len(b) > c.left {
		return 0, errByte
	}
	for rest := b; len(rest) > 0; {
		n := min(len(rest), len(c.room))
		if _, err := io.ReadFull(c.want, c.room[:n]); err != nil {
			return 0, err
		}
		if !bytes.Equal(rest[:n], c.room[:n]) {
			return 0, errByte
		}
		rest = rest[n:]
	}
	c.left -= len(b)
	return len(b), nil
}
