//go:build unix

package accesslog_test

const lineEnd = "\n"
