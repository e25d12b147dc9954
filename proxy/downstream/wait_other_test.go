//go:build !linux && !windows

package downstream_test

// hasLoops: files are read.
const hasLoops = false

// knowsWhenItWaits: every client is taken for one that may not keep up.
const knowsWhenItWaits = false
