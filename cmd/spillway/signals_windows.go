package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// orders: os.Interrupt is Ctrl+C and Ctrl+Break; SIGTERM is the end of the console, of the session or of Windows.
var orders = map[os.Signal]order{
	os.Interrupt:    orderInterrupt,
	syscall.SIGTERM: orderLeave,
}

// endBy ends the program as Ctrl+C does when nobody listens for it.
func endBy(os.Signal) {
	const controlCExit = 0xC000013A // STATUS_CONTROL_C_EXIT
	windows.ExitProcess(controlCExit)
}
