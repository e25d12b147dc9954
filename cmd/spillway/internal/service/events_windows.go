package service

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
)

// The numbers of the events. EventCreate.exe, which every Windows has, serves as the file with their texts: it shows a text as
// it is, for numbers up to 1000. A source that is not registered costs one sentence of Windows' above the text.
const (
	eventNotStarted  = 1
	eventFailed      = 2
	eventNotReloaded = 3
	eventNoConsole   = 4
	eventStarted     = 10
	eventStopped     = 11
)

// maxEventText is what Windows takes as one text, in UTF-16 units, with room to spare.
const maxEventText = 31000

// events is the Windows Event Log with our source. What cannot be written there is lost: there is nobody else to tell.
type events struct {
	report func(kind uint16, id uint32, text string)
	close  func()
}

// openEvents opens the log; source is the name of the service, under which Install has registered it.
func openEvents(source string) events {
	log, err := eventlog.Open(source)
	if err != nil {
		return events{report: func(uint16, uint32, string) {}, close: func() {}}
	}
	report := func(kind uint16, id uint32, text string) {
		switch kind {
		case eventlog.Error:
			_ = log.Error(id, eventText(text))
		case eventlog.Warning:
			_ = log.Warning(id, eventText(text))
		default:
			_ = log.Info(id, eventText(text))
		}
	}
	return events{report: report, close: func() { _ = log.Close() }}
}

func (e events) error(id uint32, text string) { e.report(eventlog.Error, id, text) }
func (e events) warn(id uint32, text string)  { e.report(eventlog.Warning, id, text) }
func (e events) info(id uint32, text string)  { e.report(eventlog.Info, id, text) }

// eventText makes any text one that Windows takes.
func eventText(text string) string {
	text = strings.ReplaceAll(text, "\x00", "")
	if len(text) > maxEventText {
		cut := maxEventText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + " ..."
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
}

func notStarted(config string, err error) string {
	return fmt.Sprintf("spillway was not started: %v\n\nConfiguration: %s\nTo see all problems: %s", err, config, check(config))
}

func failedText(config string, err error) string {
	return fmt.Sprintf("spillway has ended: %v\n\nConfiguration: %s\nThe error log says what happened before.", err, config)
}

func notReloaded(config string, err error) string {
	return fmt.Sprintf("the configuration was not reloaded, spillway serves by the old one: %v\n\nConfiguration: %s\nTo see all problems: %s",
		err, config, check(config))
}

func noConsole(err error) string {
	return fmt.Sprintf("processes will be killed where they should be asked to end, for there is no console to send CTRL_BREAK by: %v", err)
}

func startedText(config string, took time.Duration) string {
	return fmt.Sprintf("spillway serves, %s after the start\n\nConfiguration: %s", took.Round(time.Millisecond), config)
}

func stoppedText(took time.Duration) string {
	return fmt.Sprintf("spillway has stopped in order within %s", took.Round(time.Millisecond))
}

const endedText = "spillway has stopped in order; it was asked to by a command, not by the service manager"

// check is the command that shows the problems of a configuration.
func check(config string) string {
	exe, err := os.Executable()
	if err != nil {
		exe = "spillway"
	}
	return quote(exe) + " check -c " + quote(config)
}

// registerSource has the Event Viewer show our texts as they are. It may be registered already.
func registerSource(source string) error {
	_ = eventlog.Remove(source) // Install refuses to write over one that is there
	const all = eventlog.Error | eventlog.Warning | eventlog.Info
	if err := eventlog.InstallAsEventCreate(source, all); err != nil {
		return fmt.Errorf("event log source %s: %w", source, err)
	}
	return nil
}

// removeSource undoes registerSource; that it is gone already is no error.
func removeSource(source string) error {
	if err := eventlog.Remove(source); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fmt.Errorf("event log source %s: %w", source, err)
	}
	return nil
}
