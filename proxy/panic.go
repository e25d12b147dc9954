package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// ErrPanicked is what Protect makes of a panic.
var ErrPanicked = errors.New("panicked")

// levelAlert is nginx's, which slog does not have: a bug of ours, that somebody should hear of.
const levelAlert = slog.Level(16)

// Protect calls a step of the exchange. A panic costs this exchange alone, not the process with all others: it is logged, with
// its stack and the phase, counted, and returned as a StatusError of 500 that wraps ErrPanicked.
func (ex *Exchange) Protect(phase string, step func() error) (err error) {
	defer func() {
		if crash := recover(); crash != nil {
			ex.panics.Add(1)
			ex.Incident()
			ex.Log().Log(context.Background(), levelAlert, "panic",
				"exchange", ex, "phase", phase, "stack", string(debug.Stack()), "err", fmt.Sprint(crash))
			err = &StatusError{Code: http.StatusInternalServerError, Cause: CauseInternal, Err: ErrPanicked}
		}
	}()
	return step()
}

// Panics returns how many steps of the exchange have panicked.
func (ex *Exchange) Panics() int { return int(ex.panics.Load()) }
