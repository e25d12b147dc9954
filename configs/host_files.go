package configs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// tempPath looks whether spill files can be made. The folder itself is created, that in which it lies is not.
func (k *checker) tempPath() {
	at, path := k.config.Places.At("temp_path"), k.config.TempPath
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		k.refuse(at, "%v", err)
		return
	}
	k.folder(at, path)
}

// logFiles looks whether the logs can be opened, for which their folders are created.
func (k *checker) logFiles() {
	c := k.config
	if path := c.AccessLog.Path; path != "" {
		k.logFile(c.AccessLog.Places, "access_log", path)
	}
	if path := c.ErrorLog.Path; path != Stderr {
		k.logFile(c.ErrorLog.Places, "error_log", path)
	}
}

// logFile looks at one log; a log that was not written has its place at the top of the file.
func (k *checker) logFile(places Places, key, path string) {
	at := k.config.Places.At(key)
	if places.Has("path") {
		at = places.At("path")
	} else if at.Key == "" {
		at.Key = key
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.folder(at, filepath.Dir(path))
	case err != nil:
		k.refuse(at, "%v", err)
	case info.IsDir():
		k.refuse(at, "%s is a folder; want a file", quote(path))
	default:
		if err := writable(path, info.IsDir()); err != nil {
			k.refuse(at, "%s cannot be written by who runs this: %v", quote(path), err)
		}
	}
}

// folder looks whether files can be made in a folder or, when it is not there, whether it can be made itself.
func (k *checker) folder(at Place, path string) {
	info, err := os.Stat(path)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		path = filepath.Dir(path)
		info, err = os.Stat(path)
	}
	switch {
	case err != nil:
		k.refuse(at, "%v", err)
	case !info.IsDir():
		k.refuse(at, "%s is no folder", quote(path))
	default:
		if err := writable(path, info.IsDir()); err != nil {
			k.refuse(at, "nothing can be made in %s by who runs this: %v", quote(path), err)
		}
	}
}
