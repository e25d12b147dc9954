//go:build race

package buffering_test

// raceEnabled is true in tests with the race detector, under which sync.Pool drops a part of what is put.
const raceEnabled = true
