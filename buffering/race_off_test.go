//go:build !race

package buffering_test

const raceEnabled = false
