//go:build unix

package buffering

import "os"

// createSpill creates a file for reading and writing and removes its name at once: the space is given back when the
// file is closed, also when the process is killed.
func createSpill(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
