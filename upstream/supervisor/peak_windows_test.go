package supervisor_test

import "golang.org/x/sys/windows"

// knowsPeak is false under Wine, which forgets it with the process now and then.
var knowsPeak = windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil
