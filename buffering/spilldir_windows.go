package buffering

import (
	"os"

	"golang.org/x/sys/windows"

	"spillway/buffering/winpath"
)

// createSpill creates a file for reading and writing that Windows deletes when its handle is closed, also when the
// process is killed. The temporary attribute keeps its bytes in the cache as long as there is memory; sharing is
// nginx's, so that nothing that looks at the folder gets in the way. os.OpenFile can say neither.
func createSpill(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(winpath.Extended(path))
	if err != nil {
		return nil, &os.PathError{Op: "CreateFile", Path: path, Err: err}
	}
	handle, err := windows.CreateFile(name,
		windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE,
		nil,
		windows.CREATE_NEW,
		windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_FLAG_DELETE_ON_CLOSE,
		0)
	if err != nil {
		return nil, &os.PathError{Op: "CreateFile", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}
