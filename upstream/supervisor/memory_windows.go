package supervisor

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// jobPIDs is JOBOBJECT_BASIC_PROCESS_ID_LIST of winnt.h without its list.
type jobPIDs struct {
	assigned, listed uint32
}

// pids returns the processes of the tree.
func (t *tree) pids() ([]int, error) {
	const header = int(unsafe.Sizeof(jobPIDs{}) / unsafe.Sizeof(uintptr(0))) // 1 with 64 bits
	buffer := make([]uintptr, header+64)
	for {
		err := windows.QueryInformationJobObject(t.job, windows.JobObjectBasicProcessIdList,
			uintptr(unsafe.Pointer(&buffer[0])), uint32(len(buffer))*uint32(unsafe.Sizeof(buffer[0])), nil)
		if errors.Is(err, windows.ERROR_MORE_DATA) && len(buffer) < 1<<16 {
			buffer = make([]uintptr, 2*len(buffer))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("processes of job object: %w", err)
		}
		list := buffer[header:]
		listed := min(int((*jobPIDs)(unsafe.Pointer(&buffer[0])).listed), len(list))
		pids := make([]int, listed)
		for i, pid := range list[:listed] {
			pids[i] = int(pid)
		}
		return pids, nil
	}
}
