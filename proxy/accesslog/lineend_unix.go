//go:build unix

package accesslog

const lineEnd = "\n"
