package supervisor

import (
	"os/exec"
	"syscall"
)

// waitPeak waits for the program and returns the most memory that it held at once, in bytes; 0: not known, as it was no more
// than floor.
func waitPeak(cmd *exec.Cmd, floor int64) int64 {
	_ = cmd.Wait()
	if peak := peakOf(cmd.ProcessState.SysUsage()); peak > floor {
		return peak
	}
	return 0
}

// peakFloor returns the most memory that spillway itself has held. A program is launched in a copy of spillway, and the kernel
// begins to count with that one's peak (exec_mmap of fs/exec.c), so a smaller peak is not the program's.
func peakFloor() int64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // with these arguments it has no reason to fail
	return peakOf(&usage)
}

// peakOf reads what getrusage(2) says; it counts in kibibytes.
func peakOf(usage any) int64 {
	if u, ok := usage.(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}
