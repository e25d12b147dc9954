package control

import (
	"errors"
	"strings"
	"time"
)

// Identity says which spillway it is.
type Identity struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Config  string    `json:"config"` // the configuration as people write it: a path, or the demo
	Path    string    `json:"path"`   // Place.Path: the same for two instances of one configuration
	Since   time.Time `json:"since"`
}

// Ending says how an instance ended.
type Ending struct {
	Took  time.Duration `json:"took"`
	Cut   int           `json:"cut"`             // exchanges that did not get to their end
	Lines []string      `json:"lines,omitempty"` // what went wrong
}

// LinesError is an error of several lines, each as it is shown to the operator. An error of a handler that is none is shown
// as one line.
type LinesError struct {
	Lines []string `json:"lines"`
}

// Error returns the lines.
func (f *LinesError) Error() string { return strings.Join(f.Lines, "\n") }

// failure makes an error one that can be sent.
func failure(err error) *LinesError {
	if f, ok := errors.AsType[*LinesError](err); ok {
		return f
	}
	return &LinesError{Lines: []string{"spillway: " + err.Error()}}
}

// restartRequest is the body of a restart.
type restartRequest struct {
	Upstream string `json:"upstream"` // empty: all
}

// RunningError says that the configuration is served already. The fields of Identity are empty where they could not be
// learned.
type RunningError struct {
	Identity
}

// Error names who runs.
func (e *RunningError) Error() string {
	if e.PID == 0 {
		return "another spillway runs with this configuration"
	}
	return "pid " + itoa(e.PID) + " runs " + e.Config + " since " + e.Since.Local().Format(time.DateTime)
}

// NotRunningError says that nobody was found.
type NotRunningError struct {
	Path string

	// Hidden is whose instance may be there all the same: a folder where it would be is closed to this account. Empty when
	// all could be looked at.
	Hidden string
}

// Error says for which configuration nobody was found.
func (e *NotRunningError) Error() string { return "no spillway runs with " + e.Path }

// DeniedError says that there is an instance, but this account may not speak to it.
type DeniedError struct {
	Address string
	Account string // who may
}

// Error says which account is needed.
func (e *DeniedError) Error() string {
	return "no access to " + e.Address + ": give the command as " + e.Account
}
