package app

import (
	"errors"
	"fmt"
	"log/slog"

	"spillway/proxy"
	"spillway/proxy/accesslog"
	"spillway/proxy/errorlog"
	"spillway/proxy/logfile"
)

// levelNotice is nginx's notice: the life of the program, between info and warn.
const levelNotice = errorlog.LevelNotice

// logs are the log files.
type logs struct {
	errors   *logfile.Writer
	requests *logfile.Writer // nil when off
	access   *accesslog.Logger
}

// levels are nginx's names; configs has checked that there are no others.
var levels = map[string]slog.Level{
	"debug": errorlog.LevelDebug, "info": errorlog.LevelInfo, "notice": errorlog.LevelNotice, "warn": errorlog.LevelWarn,
	"error": errorlog.LevelError, "crit": errorlog.LevelCrit, "alert": errorlog.LevelAlert, "emerg": errorlog.LevelEmerg,
}

// formats are the forms of the error log; configs has checked that there are no others.
var formats = map[string]errorlog.Format{"nginx": errorlog.Nginx, "json": errorlog.JSON}

// openLogs opens the error log and the access log.
func (a *App) openLogs() error {
	l := &a.logs
	var err error
	lost := errorlog.Lost(formats[a.config.ErrorLog.Format])
	if l.errors, err = logfile.Open(logfile.Options{Path: a.config.ErrorLog.Path, Lost: lost}); err != nil {
		return fmt.Errorf("error_log: %w", err)
	}
	handler, err := errorlog.New(errorlog.Options{
		Out: l.errors, Level: levels[a.config.ErrorLog.Level], Format: formats[a.config.ErrorLog.Format],
	})
	if err != nil {
		return fmt.Errorf("error_log: %w", err)
	}
	a.log = slog.New(handler)
	if a.config.AccessLog.Path == "" {
		return nil
	}
	if l.requests, err = logfile.Open(logfile.Options{Path: a.config.AccessLog.Path}); err != nil {
		return fmt.Errorf("access_log: %w", err)
	}
	l.access, err = accesslog.New(accesslog.Options{Format: a.config.AccessLog.Format, Out: l.requests})
	if err != nil {
		return fmt.Errorf("access_log: format: %w", err)
	}
	return nil
}

// observers are told of each exchange that has ended.
func (a *App) observers() []func(*proxy.Exchange) {
	observers := []func(*proxy.Exchange){a.metrics.Observe}
	if a.logs.access != nil {
		observers = append(observers, a.logs.access.Observe)
	}
	return observers
}

// dropped counts the log lines that a hanging or full disk did not take.
func (l *logs) dropped() float64 {
	n := l.errors.Dropped()
	if l.requests != nil {
		n += l.requests.Dropped()
	}
	return float64(n)
}

func (l *logs) close() error {
	var err error
	if l.requests != nil {
		err = l.requests.Close()
	}
	if l.errors != nil {
		err = errors.Join(err, l.errors.Close())
	}
	return err
}
