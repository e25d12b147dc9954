package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/accesslog"
	"spillway/proxy/errorlog"
	"spillway/proxy/logfile"
)

// levelNotice is nginx's notice: the life of the program, between info and warn.
const levelNotice = errorlog.LevelNotice

// newLog makes the log of the whole life; there is no file behind it yet.
func newLog() (*slog.Logger, *errorlog.Handler) {
	handler, err := errorlog.New(errorlog.Options{Out: io.Discard})
	if err != nil {
		panic("app: " + err.Error()) // there is nothing wrong with these options
	}
	return slog.New(handler), handler
}

// logFile is a log file that several generations may write.
type logFile struct {
	share

	path   string
	writer *logfile.Writer
}

// levels are nginx's names; configs has checked that there are no others.
var levels = map[string]slog.Level{
	"debug": errorlog.LevelDebug, "info": errorlog.LevelInfo, "notice": errorlog.LevelNotice, "warn": errorlog.LevelWarn,
	"error": errorlog.LevelError, "crit": errorlog.LevelCrit, "alert": errorlog.LevelAlert, "emerg": errorlog.LevelEmerg,
}

// formats are the forms of the error log; configs has checked that there are no others.
var formats = map[string]errorlog.Format{"nginx": errorlog.Nginx, "json": errorlog.JSON}

// openLogs opens the error log and the access log, as far as the generation before has not.
func (a *App) openLogs(p *plan) (err error) {
	next, prev := p.next, p.prev
	config := &next.config.ErrorLog
	opts := a.newFileOptions(config.Path, &config.Rotate)
	opts.Lost = errorlog.Lost(formats[config.Format])
	if next.errors, err = a.openLog(prev.errors, opts); err != nil {
		return fmt.Errorf("error_log: %w", err)
	}
	if prev.errors == nil { // the first one is needed before there is a swap
		if err := a.handler.Update(next.errorLogOptions()); err != nil {
			return fmt.Errorf("error_log: %w", err)
		}
	}
	access := &next.config.AccessLog
	if access.Path == "" {
		return nil
	}
	if next.requests, err = a.openLog(prev.requests, a.newFileOptions(access.Path, &access.Rotate)); err != nil {
		return fmt.Errorf("access_log: %w", err)
	}
	next.access, err = accesslog.New(accesslog.Options{Format: string(access.Format), Out: next.requests.writer})
	if err != nil {
		return fmt.Errorf("access_log: format: %w", err)
	}
	return nil
}

// openLog opens a log file, unless old is the same.
func (a *App) openLog(old *logFile, opts logfile.Options) (*logFile, error) {
	if old != nil && old.path == opts.Path && old.hold() {
		return old, nil
	}
	writer, err := logfile.Open(opts)
	if err != nil {
		return nil, err
	}
	f := &logFile{path: opts.Path, writer: writer}
	f.end = func() { a.closeLog(f) }
	return f, nil
}

// newFileOptions are the options of a file that is rotated.
func (a *App) newFileOptions(path string, rotate *configs.Rotate) logfile.Options {
	return logfile.Options{Path: path, Rotate: newRotate(rotate), Failed: func(err error) {
		a.log.Warn("file not rotated", "file", path, "err", err)
	}, Refused: func(err error) {
		a.log.Error("file not written", "file", path, "err", err)
	}}
}

func newRotate(r *configs.Rotate) logfile.Rotate {
	return logfile.Rotate{Size: int64(r.Size), Every: time.Duration(r.Every), Keep: r.Keep, Compress: r.Compress}
}

// closeLog writes what waits for the file. Lines that are lost with it are told where there still is a place.
func (a *App) closeLog(f *logFile) {
	err := f.writer.Close()
	a.dropped.Add(f.writer.Dropped())
	if err == nil {
		return
	}
	a.mu.Lock()
	a.lost = errors.Join(a.lost, err)
	a.mu.Unlock()
	if a.ending.Err() == nil {
		a.log.Warn("lines of a former log file are lost", "file", f.path, "err", err)
	}
}

func (g *generation) errorLogOptions() errorlog.Options {
	config := &g.config.ErrorLog
	return errorlog.Options{Out: g.errors.writer, Level: levels[config.Level], Format: formats[config.Format]}
}

// useLogs lets lines go to the files of the next generation.
func (a *App) useLogs(next *generation) {
	if err := a.handler.Update(next.errorLogOptions()); err != nil {
		panic("app: " + err.Error()) // openLogs has seen to it that there is nothing wrong with them
	}
	a.access.Store(next.access)
	a.setRotate(next.errors, &next.config.ErrorLog.Rotate)
	a.setRotate(next.requests, &next.config.AccessLog.Rotate)
}

// setRotate is for a file that was opened by another generation.
func (a *App) setRotate(f *logFile, rotate *configs.Rotate) {
	if f == nil {
		return
	}
	if err := f.writer.SetRotate(newRotate(rotate)); err != nil {
		a.log.Warn("file not rotated as configured", "file", f.path, "err", err)
	}
}

// observers are told of each exchange that has ended.
func (a *App) observers() []func(*proxy.Exchange) {
	return []func(*proxy.Exchange){a.metrics.Observe, func(ex *proxy.Exchange) {
		if access := a.access.Load(); access != nil {
			access.Observe(ex)
		}
	}, a.why.Observe}
}

// droppedLines counts the log lines that a hanging or full disk did not take.
func (a *App) droppedLines() float64 {
	n := a.dropped.Load()
	g := a.generation()
	for _, f := range []*logFile{g.errors, g.requests} {
		if f != nil {
			n += f.writer.Dropped()
		}
	}
	return float64(n)
}

// Reopen opens all log files and the output files of processes again, after they were renamed. A file that cannot be opened
// stays in use as it is; the error names all of them.
func (a *App) Reopen() error {
	var errs []error
	g := a.generation()
	for _, f := range []*logFile{g.errors, g.requests} {
		if f == nil || !f.hold() {
			continue // it has just been replaced
		}
		errs = append(errs, f.writer.Reopen())
		f.letGo()
	}
	for _, b := range a.running() {
		errs = append(errs, b.outputs.reopen())
	}
	err := errors.Join(errs...)
	if err != nil {
		a.log.Error("files not reopened", "err", err)
	} else {
		a.log.Info("files reopened")
	}
	return err
}

// ignoreClosed is for a file that was closed meanwhile.
func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
