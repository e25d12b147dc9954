//go:build race

package relay_test

// raceDetector says that the test was built with -race.
const raceDetector = true
