package supervisor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

var (
	kernel32              = windows.NewLazySystemDLL("kernel32.dll")
	user32                = windows.NewLazySystemDLL("user32.dll")
	freeConsole           = kernel32.NewProc("FreeConsole")
	allocConsole          = kernel32.NewProc("AllocConsole")
	getConsoleWindow      = kernel32.NewProc("GetConsoleWindow")
	setConsoleCtrlHandler = kernel32.NewProc("SetConsoleCtrlHandler")
	showWindow            = user32.NewProc("ShowWindow")
)

// HiddenConsole gives a program that has no console one that nobody sees, so that its processes share it and can be sent
// CTRL_BREAK: see newTree. It is for a service, is called once, before the first backend starts, and does nothing where there
// is a console.
//
// From then on no console event ends the program, and none reaches os/signal: a console comes with a clean table of
// handlers, and Windows sends "log off" to the console programs of services, too, whoever logs off.
func HiddenConsole() error {
	if hasConsole() {
		return nil
	}
	_, _, _ = freeConsole.Call() // one that is there in name only, as under Wine; else an error
	if done, _, err := allocConsole.Call(); done == 0 {
		return fmt.Errorf("allocate console: %w", err)
	}
	if !hasConsole() {
		return errors.New("allocate console: there is none all the same") // Wine without a display
	}
	if window, _, _ := getConsoleWindow.Call(); window != 0 {
		_, _, _ = showWindow.Call(window, windows.SW_HIDE) // says whether it was visible before
	}
	handled := windows.NewCallback(func(uint32) uintptr { return 1 })
	if done, _, err := setConsoleCtrlHandler.Call(handled, 1); done == 0 {
		return fmt.Errorf("ignore console events: %w", err)
	}
	return nil
}

// hasConsole reports whether this program has a console, in whatever window.
func hasConsole() bool {
	codePage, err := windows.GetConsoleCP()
	return err == nil && codePage != 0
}
