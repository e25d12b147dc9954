package logfile

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What becomes of the files that were put aside, in a goroutine of its own. It looks at the folder each time and keeps nothing
// in mind, so that what a crash has left is finished at the next start: a compressed file gets its name when it is complete,
// and only then the other one is removed.

const (
	zipped  = ".gz"
	partial = ".gz.part"
)

// errStopped ends a compression when the Writer is closed.
var errStopped = errors.New("stopped")

// aside is a file that was put aside, or two: plain and compressed.
type aside struct {
	path   string // without .gz
	stamp  string
	number int // of those of one second
	plain  bool
	zipped bool
}

// tidy waits for something to do, until Close.
func (w *Writer) tidy() {
	defer close(w.tidied)
	told := false
	for {
		select {
		case <-w.untidy:
		case <-w.quit:
			return
		}
		err := w.tidyUp(*w.rotation.Load())
		switch {
		case err == nil:
			told = false
		case !told && !errors.Is(err, errStopped):
			told = true
			w.opts.Failed(fmt.Errorf("old files of %s: %w", w.path, err))
		}
	}
}

// tidyUp removes what is too old and compresses what is not compressed.
func (w *Writer) tidyUp(r Rotate) error {
	if r == (Rotate{}) {
		return nil
	}
	files, err := w.asides()
	if err != nil {
		return err
	}
	var failed error
	for i, file := range files {
		switch {
		case r.Keep > 0 && i >= r.Keep:
			err = file.remove()
		case file.plain && file.zipped:
			err = os.Remove(file.path)
		case file.plain && r.Compress:
			err = w.compress(file.path)
		default:
			err = nil
		}
		if errors.Is(err, errStopped) {
			return err
		}
		failed = cmp.Or(failed, err) // one tells enough
	}
	return failed
}

// asides returns the files that were put aside, the newest first, and removes what is left of a compression that was cut.
func (w *Writer) asides() ([]*aside, error) {
	folder, base := filepath.Split(w.path)
	entries, err := os.ReadDir(filepath.Clean(folder))
	if err != nil {
		return nil, err
	}
	found := map[string]*aside{}
	for _, entry := range entries {
		name := entry.Name()
		if rest, ok := strings.CutSuffix(name, partial); ok {
			if _, ok := parseAside(base, rest); ok {
				_ = os.Remove(filepath.Join(folder, name))
			}
			continue
		}
		rest, isZipped := strings.CutSuffix(name, zipped)
		file, ok := parseAside(base, rest)
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		if found[rest] == nil {
			file.path = filepath.Join(folder, rest)
			found[rest] = &file
		}
		found[rest].zipped = found[rest].zipped || isZipped
		found[rest].plain = found[rest].plain || !isZipped
	}
	files := make([]*aside, 0, len(found))
	for _, file := range found {
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b *aside) int {
		return cmp.Or(strings.Compare(b.stamp, a.stamp), cmp.Compare(b.number, a.number))
	})
	return files, nil
}

// parseAside reads a name such as access.log.20060102-150405 or access.log.20060102-150405.1.
func parseAside(base, name string) (aside, bool) {
	rest, ok := strings.CutPrefix(name, base+".")
	if !ok {
		return aside{}, false
	}
	stamp, digits, numbered := strings.Cut(rest, ".")
	if t, err := time.Parse(stampForm, stamp); err != nil || t.Format(stampForm) != stamp {
		return aside{}, false
	}
	number := 0
	if numbered {
		n, err := strconv.Atoi(digits)
		if err != nil || n <= 0 || strconv.Itoa(n) != digits {
			return aside{}, false
		}
		number = n
	}
	return aside{stamp: stamp, number: number}, true
}

func (f *aside) remove() error {
	var plain, packed error
	if f.plain {
		plain = os.Remove(f.path)
	}
	if f.zipped {
		packed = os.Remove(f.path + zipped)
	}
	return cmp.Or(plain, packed)
}

// compress replaces a file by its compressed form.
func (w *Writer) compress(path string) error {
	in, err := openRead(path)
	if err != nil {
		return err
	}
	err = w.pack(in, path+partial)
	in.Close()
	if err == nil {
		err = os.Rename(path+partial, path+zipped)
	}
	if err != nil {
		_ = os.Remove(path + partial)
		return err
	}
	return os.Remove(path)
}

// pack writes the compressed form of in to a new file, with its time and permissions, and has it on the disk. What has the name
// already is left alone: asides has removed what was ours.
func (w *Writer) pack(in *os.File, path string) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer out.Close()
	_ = out.Chmod(info.Mode().Perm()) // whatever the umask
	packer := gzip.NewWriter(out)     // without the name, which may have letters that the header cannot
	packer.ModTime = info.ModTime()
	if _, err := io.Copy(packer, untilClosed{w, in}); err != nil {
		return err
	}
	if err := packer.Close(); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// untilClosed is a reader that ends when the Writer is closed.
type untilClosed struct {
	w *Writer
	r io.Reader
}

// Read reads, or returns errStopped.
func (u untilClosed) Read(p []byte) (int, error) {
	select {
	case <-u.w.quit:
		return 0, errStopped
	default:
		return u.r.Read(p)
	}
}
