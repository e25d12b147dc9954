package buffering

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// ErrDiskBudget says that the spill files of the process have used up their budget.
var ErrDiskBudget = errors.New("buffering: disk budget used up")

// SpillDir creates spill files in one folder and keeps their budget. A spill file has no name where that is possible,
// so nothing is left behind however the process ends. It is safe for concurrent use.
type SpillDir struct {
	path   string       // absolute
	budget atomic.Int64 // bytes; 0 = no limit

	number atomic.Int64 // of the last file
	inUse  atomic.Int64
	files  atomic.Int64

	filesTotal atomic.Int64
	bytesTotal atomic.Int64
	errors     atomic.Int64
}

// Stats is a snapshot of what a SpillDir did.
type Stats struct {
	Files  int64 // spill files created so far
	Bytes  int64 // bytes written to them so far
	Errors int64 // times that a file could not be created, written or read back, or the budget was used up
}

// OpenSpillDir makes the folder (mode 0700) if it is not there and proves that a spill file can be created in it. The
// budget is for all files together, in bytes; 0 means no limit.
func OpenSpillDir(path string, budget int64) (*SpillDir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("temp path %s: %w", path, err)
	}
	d := &SpillDir{path: absolute}
	d.budget.Store(budget)
	probe, err := d.open()
	if err != nil {
		return nil, fmt.Errorf("temp path %s: %w", path, err)
	}
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("temp path %s: %w", path, err)
	}
	return d, nil
}

// InUse returns the bytes that the spill files take on disk at the moment.
func (d *SpillDir) InUse() int64 { return d.inUse.Load() }

// Budget returns the limit for InUse; 0 means no limit.
func (d *SpillDir) Budget() int64 { return d.budget.Load() }

// SetBudget changes the limit; 0 means none. Files that are there stay: below InUse, nothing is spilled until enough came back.
func (d *SpillDir) SetBudget(budget int64) { d.budget.Store(budget) }

// Files returns the number of spill files that are open at the moment.
func (d *SpillDir) Files() int64 { return d.files.Load() }

// Stats returns what happened so far.
func (d *SpillDir) Stats() Stats {
	return Stats{Files: d.filesTotal.Load(), Bytes: d.bytesTotal.Load(), Errors: d.errors.Load()}
}

// collision is how far the file number jumps when a file of that name is there, as in nginx: another process that uses
// the folder is left behind in one step.
const collision = 123456

// open creates the next file. A folder that has disappeared is made again.
func (d *SpillDir) open() (*os.File, error) {
	const attempts = 100 // enough to tell a folder that another process uses from an operating system that lies
	var err error
	step := int64(1)
	for range attempts {
		path := filepath.Join(d.path, fmt.Sprintf("%010d", d.number.Add(step)))
		var f *os.File
		f, err = createSpill(path)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, fs.ErrExist):
			step = collision
		case errors.Is(err, fs.ErrNotExist):
			if err := os.MkdirAll(d.path, 0o700); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return nil, err
}

// reserve takes n bytes from the budget.
func (d *SpillDir) reserve(n int64) error {
	for {
		used := d.inUse.Load()
		if budget := d.budget.Load(); budget > 0 && used+n > budget {
			return ErrDiskBudget
		}
		if d.inUse.CompareAndSwap(used, used+n) {
			return nil
		}
	}
}

func (d *SpillDir) release(n int64) { d.inUse.Add(-n) }
