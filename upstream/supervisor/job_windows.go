package supervisor

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// EndTogether puts this program into a Job object that ends with it, however it ends, and with it all that it starts from
// now on. It closes a gap: between its creation and its own job a process is suspended, belongs to no tree, and would
// be left when spillway is killed just then. Jobs are nested, which a job of whoever has started us may forbid.
//
// It is called once, before the first backend starts. The job cannot be left, and a second call nests a second job.
func EndTogether() error {
	job, err := newJob(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)
	if err != nil {
		return err
	}
	if err := windows.AssignProcessToJobObject(job, windows.CurrentProcess()); err != nil {
		_ = windows.CloseHandle(job) // the first error is the one to tell
		return fmt.Errorf("assign spillway to job object: %w", err)
	}
	return nil // Nobody closes the handle but the system, at our end: that is what ends the others.
}

// newJob creates a Job object with these limits. The handle is not inherited, hence ours is the only one.
func newJob(limits uint32) (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("create job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: limits},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		_ = windows.CloseHandle(job) // the first error is the one to tell
		return 0, fmt.Errorf("set limits of job object: %w", err)
	}
	return job, nil
}
