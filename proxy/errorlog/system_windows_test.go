package errorlog_test

import (
	"strings"
	"syscall"
)

const (
	errNoFile = syscall.ERROR_FILE_NOT_FOUND
	openCall  = "CreateFile()"
	lineEnd   = "\r\n"
)

// noFile is in the language of the host.
var noFile = "2: " + trimmed(errNoFile)

func trimmed(err error) string { return strings.TrimRight(err.Error(), ".") }
