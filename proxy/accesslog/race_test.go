//go:build race

package accesslog_test

// raceDetector: sync.Pool drops at random under the race detector.
const raceDetector = true
