//go:build unix

package logfile

import "os"

// openAppend opens or creates a file to append to.
func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
}

// openRead opens a file that may be being renamed.
func openRead(path string) (*os.File, error) { return os.Open(path) }
