//go:build !race

package accesslog_test

const raceDetector = false
