package supervisor

import (
	"os/exec"

	"golang.org/x/sys/windows"

	"spillway/upstream/host"
)

// waitPeak waits for the program and returns the most memory that it held at once, in bytes; 0: not known. The handle, which
// Wait closes, is asked in between.
func waitPeak(cmd *exec.Cmd, _ int64) (peak int64) {
	_ = cmd.Process.WithHandle(func(handle uintptr) { // without a handle nothing is known
		process := windows.Handle(handle)
		if _, err := windows.WaitForSingleObject(process, windows.INFINITE); err == nil {
			peak, _ = host.PeakMemory(process)
		}
	})
	_ = cmd.Wait()
	return peak
}

// peakFloor is for systems that begin to count before the program does.
func peakFloor() int64 { return 0 }
