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
		return codeText(state.ExitCode())
	}
	text := "signal " + unix.SignalName(status.Signal())
	if status.CoreDump() {
		text += ", core dumped"
	}
	return text
}

// codeText returns "exit code 137 (shell: ended by SIGKILL)". What a code means is up to the program; these are the codes of
// shells and of others that start programs.
func codeText(code int) string {
	text := "exit code " + strconv.Itoa(code)
	switch {
	case code == 126:
		text += " (shell: command cannot be executed)"
	case code == 127:
		text += " (shell: command not found; or a library is missing)"
	case code > 128:
		if name := unix.SignalName(syscall.Signal(code - 128)); name != "" {
			text += " (shell: ended by " + name + ")"
		}
	}
	return text
}
