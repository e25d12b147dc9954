//go:build unix

package configs

import "golang.org/x/sys/unix"

// writable asks whether we may write the file at path, or make files in the folder there.
func writable(path string, isDir bool) error {
	mode := uint32(unix.W_OK)
	if isDir {
		mode |= unix.X_OK
	}
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}
