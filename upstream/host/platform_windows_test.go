package host_test

import "golang.org/x/sys/windows"

// ownersKnown says whether the system tells who owns a socket. Wine does not: its server holds all sockets.
func ownersKnown() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil
}
