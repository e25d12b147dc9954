package app

import (
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"spillway/configs"
	"spillway/proxy/logfile"
)

// outputs are the files to which the processes of a backend write. Runs with the same path have one file.
type outputs struct {
	log *slog.Logger

	mu    sync.Mutex // guards all below; held while a file is opened, for which the next run with the same path waits
	files map[string]*outputFile
}

// outputFile is one file; it is open as long as a run writes it.
type outputFile struct {
	writer *logfile.Writer
	runs   int
}

// output is the file as one run has it.
type output struct {
	*logfile.Writer

	all  *outputs
	path string
}

func newOutputs(log *slog.Logger) *outputs {
	return &outputs{log: log, files: map[string]*outputFile{}}
}

// open returns the file of a run; nil, after a line in the error log, when it cannot be opened: the process runs all the
// same, and its last lines are kept, and the error log has all of them at level notice.
func (o *outputs) open(config *configs.Output, process, port int) io.WriteCloser {
	if config.Path == "" {
		return nil
	}
	path := strings.NewReplacer("{process}", strconv.Itoa(process), "{port}", strconv.Itoa(port)).Replace(config.Path)
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.files[path]
	if f == nil {
		writer, err := logfile.Open(logfile.Options{
			Path: path, Rotate: newRotate(&config.Rotate),
			Failed:  func(err error) { o.log.Warn("file not rotated", "file", path, "err", err) },
			Refused: func(err error) { o.log.Error("file not written", "file", path, "err", err) },
		})
		if err != nil {
			o.log.Error("output file not opened", "process", process, "port", port, "err", err)
			return nil
		}
		f = &outputFile{writer: writer}
		o.files[path] = f
	}
	f.runs++
	return &output{Writer: f.writer, all: o, path: path}
}

// Close is called once, at the end of the run.
func (o *output) Close() error {
	o.all.mu.Lock()
	f := o.all.files[o.path]
	f.runs--
	if f.runs > 0 {
		o.all.mu.Unlock()
		return nil
	}
	delete(o.all.files, o.path)
	o.all.mu.Unlock()
	return f.writer.Close()
}

// reopen opens all files again, after they were renamed.
func (o *outputs) reopen() error {
	o.mu.Lock()
	var writers []*logfile.Writer
	for _, f := range o.files {
		writers = append(writers, f.writer)
	}
	o.mu.Unlock()
	var errs []error
	for _, w := range writers {
		errs = append(errs, ignoreClosed(w.Reopen()))
	}
	return errors.Join(errs...)
}
