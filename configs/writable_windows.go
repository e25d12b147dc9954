package configs

import (
	"errors"
	"io/fs"
	"os"
)

// writable asks whether we may write the file at path. Whether a file can be made in a folder, Windows tells only who makes one.
func writable(path string, isDir bool) error {
	if isDir {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	if err != nil {
		return err
	}
	return f.Close()
}
