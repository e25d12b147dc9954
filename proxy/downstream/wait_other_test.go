//go:build !linux

package downstream_test

// knowsWhenItWaits: every client is taken for one that may not keep up.
const knowsWhenItWaits = false
