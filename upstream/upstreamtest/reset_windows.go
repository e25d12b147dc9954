package upstreamtest

import "golang.org/x/sys/windows"

// resetText is a part of the text of a connection that the peer has reset. Wine now and then shows a reset as the end of the
// stream, which has another one.
func resetText() string {
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		return ""
	}
	return "() failed ("
}
