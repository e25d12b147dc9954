package supervisor_test

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// killedExit is how a killed process ends.
const killedExit = "exit code 1"

// politeExit is how the test program ends when it is asked to, which takes a console.
func politeExit() string {
	if codePage, err := windows.GetConsoleCP(); err != nil || codePage == 0 {
		return killedExit
	}
	return "exit code 0"
}

// ownSession does nothing: no program leaves a Job object.
func ownSession() *syscall.SysProcAttr { return nil }

// suspended has a program wait before its first instruction.
func suspended() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED}
}
