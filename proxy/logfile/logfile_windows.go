package logfile

import (
	"os"

	"golang.org/x/sys/windows"

	"spillway/buffering/winpath"
)

// openAppend opens or creates a file to append to. os.OpenFile leaves out FILE_SHARE_DELETE, without which nobody can
// rename the file while it is open.
func openAppend(path string) (*os.File, error) {
	return openShared(path, windows.FILE_APPEND_DATA|windows.SYNCHRONIZE, windows.OPEN_ALWAYS)
}

// openRead opens a file to read. Who renames it has the right to delete it for that moment, so os.Open would fail.
func openRead(path string) (*os.File, error) {
	return openShared(path, windows.GENERIC_READ, windows.OPEN_EXISTING)
}

// openShared opens a file that others may read, write, rename and delete meanwhile.
func openShared(path string, access, create uint32) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(winpath.Extended(path))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	handle, err := windows.CreateFile(name, access,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE,
		nil, create, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}
