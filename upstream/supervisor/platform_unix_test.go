//go:build unix

package supervisor_test

import "syscall"

// killedExit is how a killed process ends.
const killedExit = "signal SIGKILL"

// politeExit is how the test program ends when it is asked to.
func politeExit() string { return "exit code 0" }

// ownSession takes a program out of its tree.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// suspended does nothing: there is no test that needs it.
func suspended() *syscall.SysProcAttr { return nil }
