package host

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

func allProcesses() ([]Process, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(snapshot) }() // nothing was written
	var processes []Process
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if entry.ProcessID == 0 {
			continue // the idle process, which is none
		}
		processes = append(processes, Process{
			PID: int(entry.ProcessID), Name: windows.UTF16ToString(entry.ExeFile[:]), Parent: int(entry.ParentProcessID),
		})
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, err
	}
	markOrphans(processes)
	return processes, nil
}

// markOrphans looks for the parent of each. Windows keeps a process's note of its parent when that has ended, and gives the
// number to somebody else: who is younger than the child is not its parent.
func markOrphans(processes []Process) {
	there := make(map[int]bool, len(processes))
	for _, p := range processes {
		there[p.PID] = true
	}
	for i := range processes {
		p := &processes[i]
		if p.Parent != 0 && there[p.Parent] {
			child, parent := createdAt(p.PID), createdAt(p.Parent)
			if child == 0 || parent == 0 || parent <= child {
				continue
			}
		}
		p.Orphan = p.Parent != 0 // System has never had one
		p.Parent = 0
	}
}

// createdAt returns the time of a process's creation in the system's units; 0 when we may not know it.
func createdAt(pid int) int64 {
	var created, exited, kernel, user windows.Filetime
	err := withProcess(pid, func(process windows.Handle) error {
		return windows.GetProcessTimes(process, &created, &exited, &kernel, &user)
	})
	if err != nil {
		return 0
	}
	return created.Nanoseconds()
}

// withProcess opens a process for questions. Limited information is given to every administrator, for services too.
func withProcess(pid int, f func(process windows.Handle) error) error {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(process) }() // nothing was written
	return f(process)
}

// memoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type memoryCounters struct {
	size                             uint32
	pageFaults                       uint32
	peakWorkingSet, workingSet       uintptr
	quotaPeakPaged, quotaPaged       uintptr
	quotaPeakNonPaged, quotaNonPaged uintptr
	pagefileUsage, peakPagefileUsage uintptr
}

var getProcessMemoryInfo = windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

func (c *memoryCounters) ask(process windows.Handle) error {
	c.size = uint32(unsafe.Sizeof(*c))
	ok, _, err := getProcessMemoryInfo.Call(uintptr(process), uintptr(unsafe.Pointer(c)), uintptr(c.size))
	if ok == 0 {
		return err
	}
	return nil
}

// resident returns the working set.
func resident(pid int) (int64, error) {
	var counters memoryCounters
	err := withProcess(pid, counters.ask)
	return int64(counters.workingSet), err
}

// lives goes by the exit code, which a process has before its handles are closed.
func lives(pid int) bool {
	code := uint32(0)
	err := withProcess(pid, func(process windows.Handle) error { return windows.GetExitCodeProcess(process, &code) })
	return err == nil && code == uint32(windows.STATUS_PENDING)
}

// PeakMemory returns the largest working set that a process has had, in bytes. The process may have ended.
func PeakMemory(process windows.Handle) (int64, error) {
	var counters memoryCounters
	err := counters.ask(process)
	return int64(counters.peakWorkingSet), err
}

// fileLimit is not known on Windows: handles are limited by memory.
func fileLimit() (uint64, error) { return 0, errors.ErrUnsupported }

func volumeOf(folder string) (Volume, error) {
	if _, err := os.Stat(folder); err != nil {
		return Volume{}, err
	}
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return Volume{}, err
	}
	var available, total, free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &available, &total, &free); err != nil {
		return Volume{}, err
	}
	root := make([]uint16, windows.MAX_LONG_PATH)
	if err := windows.GetVolumePathName(path, &root[0], uint32(len(root))); err != nil {
		return Volume{}, err
	}
	return Volume{Kind: kindOf(windows.GetDriveType(&root[0])), Free: int64(available), Total: int64(total)}, nil
}

func kindOf(driveType uint32) Kind {
	switch driveType {
	case windows.DRIVE_FIXED:
		return Fixed
	case windows.DRIVE_REMOVABLE, windows.DRIVE_CDROM:
		return Removable
	case windows.DRIVE_REMOTE:
		return Network
	case windows.DRIVE_RAMDISK:
		return InMemory
	}
	return Unknown
}
