package buffering

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// spillFile is one open spill file. One goroutine at a time changes it; reading what was written before may go on
// meanwhile.
type spillFile struct {
	dir  *SpillDir
	file *os.File
	size int64 // taken from the disk budget
}

// create makes a new spill file.
func (d *SpillDir) create() (*spillFile, error) {
	file, err := d.open()
	if err != nil {
		d.errors.Add(1)
		return nil, err
	}
	d.files.Add(1)
	d.filesTotal.Add(1)
	return &spillFile{dir: d, file: file}, nil
}

// path returns the name for the log; there may be no such file (any more).
func (f *spillFile) path() string { return f.file.Name() }

// writeAt writes all of b at an offset that leaves no hole.
func (f *spillFile) writeAt(b []byte, offset int64) error {
	if err := f.grow(offset + int64(len(b))); err != nil {
		f.dir.errors.Add(1)
		return err
	}
	n, err := f.file.WriteAt(b, offset)
	f.dir.bytesTotal.Add(int64(n))
	if err != nil {
		f.dir.errors.Add(1)
	}
	return err
}

func (f *spillFile) grow(size int64) error {
	if size <= f.size {
		return nil
	}
	if err := f.dir.reserve(size - f.size); err != nil {
		return err
	}
	f.size = size
	return nil
}

// readAt fills b with what was written at offset.
func (f *spillFile) readAt(b []byte, offset int64) error {
	n, err := f.file.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	f.dir.errors.Add(1)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read spill file %s: %w", f.path(), err)
}

// cut gives the space beyond size back, without waiting for the close, and says whether it did. Where that fails the space stays
// accounted for.
func (f *spillFile) cut(size int64) bool {
	if f.size <= size {
		return true
	}
	if f.file.Truncate(size) != nil {
		f.dir.errors.Add(1)
		return false
	}
	f.dir.release(f.size - size)
	f.size = size
	return true
}

// close ends the file; it leaves no trace.
func (f *spillFile) close() {
	f.file.Close()
	f.dir.files.Add(-1)
	f.dir.release(f.size)
}
