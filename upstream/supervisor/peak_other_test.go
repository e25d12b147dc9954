//go:build !linux && !windows

package supervisor_test

const knowsPeak = false
