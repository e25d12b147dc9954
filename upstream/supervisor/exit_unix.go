//go:build unix

package supervisor

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitText says how a process ended, with the name of the signal that ended it.
func exitText(state *os.ProcessState) string {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return "exit code " + strconv.Itoa(state.ExitCode())
	}
	text := "signal " + unix.SignalName(status.Signal())
	if status.CoreDump() {
		text += ", core dumped"
	}
	return text
}
