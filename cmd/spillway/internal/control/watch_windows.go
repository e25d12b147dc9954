package control

import (
	"context"

	"golang.org/x/sys/windows"
)

// watchEvery is how often ctx is looked at, in milliseconds.
const watchEvery = 100

// watch returns a function that waits for the end of a process: the file of a program can be replaced only then, which is
// later than the end of its connections. It waits for nothing when the system does not let us look.
func watch(pid int) func(context.Context) error {
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid)) //nolint:gosec // ids are positive
	if err != nil {
		return func(context.Context) error { return nil }
	}
	return func(ctx context.Context) error {
		defer func() { _ = windows.CloseHandle(process) }()
		for ctx.Err() == nil {
			event, err := windows.WaitForSingleObject(process, watchEvery)
			if err != nil || event != uint32(windows.WAIT_TIMEOUT) {
				return nil
			}
		}
		return ctx.Err()
	}
}
