// Package brrr has the interface of the brotli package that fasthttp links, on top of andybalholm/brotli.
//
// fasthttp 1.76 and later require a module whose archive the module proxy does not serve, so a build from a fresh
// machine could not fetch it. go.mod of spillway replaces that module by this folder. It goes as soon as the required
// version can be fetched. spillway itself uses neither: a front end passes encoded bodies on as they are.
package brrr

import (
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
)

// The range of compression levels.
const (
	BestSpeed       = brotli.BestSpeed
	BestCompression = brotli.BestCompression
)

// Reader decompresses.
type Reader = brotli.Reader

// Writer compresses.
type Writer = brotli.Writer

// NewReader returns a Reader that decompresses what src delivers.
func NewReader(src io.Reader) *Reader { return brotli.NewReader(src) }

// NewWriter returns a Writer that compresses to dst; the level must be from BestSpeed to BestCompression.
func NewWriter(dst io.Writer, level int) (*Writer, error) {
	if level < BestSpeed || level > BestCompression {
		return nil, fmt.Errorf("brotli level %d: want %d to %d", level, BestSpeed, BestCompression)
	}
	return brotli.NewWriterLevel(dst, level), nil
}
