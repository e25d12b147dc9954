package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sealDescriptors does nothing: os/exec hands over a list of handles, the three streams.
func sealDescriptors() {}

// tree is a Job object. The process is created suspended, put into the job and then resumed, so that all that it starts is
// in the job too. Ours is the only handle: when spillway ends, in whatever way, the system ends all that is in the job.
type tree struct {
	job     windows.Handle
	pid     uint32
	console bool // the process shares our console, and so can be sent CTRL_BREAK
}

// errNoConsole says that there is no way to ask a process to end.
var errNoConsole = errors.New("no console to send CTRL_BREAK to")

// killedCode is the exit code of processes that were killed, the one that taskkill gives.
const killedCode = 1

// newTree creates the job. CTRL_BREAK reaches only processes that share our console, and CREATE_NO_WINDOW gives a process a
// console of its own. So with a console we share it: no window opens either, and a polite stop works. Without one, as a
// service, a window would open for each process: CREATE_NO_WINDOW it is, and a stop is a kill. A service that wants the
// polite stop allocates a hidden console before it starts a backend.
func newTree(cmd *exec.Cmd, _ *Guard) (*tree, error) {
	// Without the second flag a crash would show a dialog and wait for someone to click it away.
	job, err := newJob(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION)
	if err != nil {
		return nil, err
	}
	codePage, err := windows.GetConsoleCP()
	t := &tree{job: job, console: err == nil && codePage != 0}
	// A group of its own is what CTRL_BREAK can be sent to; it also keeps the console's Ctrl+C away: spillway stops its
	// processes itself, in order.
	flags := uint32(windows.CREATE_SUSPENDED | windows.CREATE_NEW_PROCESS_GROUP)
	if !t.console {
		flags |= windows.CREATE_NO_WINDOW
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: flags}
	return t, nil
}

func (t *tree) adopt(p *os.Process) error {
	t.pid = uint32(p.Pid)
	var assignErr error
	err := p.WithHandle(func(handle uintptr) {
		assignErr = windows.AssignProcessToJobObject(t.job, windows.Handle(handle))
	})
	if err = errors.Join(err, assignErr); err != nil {
		return fmt.Errorf("assign process to job object: %w", err)
	}
	if err := resume(t.pid); err != nil {
		return fmt.Errorf("resume process: %w", err)
	}
	return nil
}

// resume lets the only thread of a process run that was created suspended. os/exec drops the thread's handle, so it is
// looked up.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(snapshot) }() // nothing was written
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return err
		}
		_, err = windows.ResumeThread(thread)
		return errors.Join(err, windows.CloseHandle(thread))
	}
	return err // ERROR_NO_MORE_FILES: no such thread
}

func (t *tree) interrupt(signal string) error {
	if signal == "kill" {
		return windows.TerminateJobObject(t.job, killedCode)
	}
	if !t.console {
		return errNoConsole
	}
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, t.pid)
}

func (t *tree) kill() { _ = windows.TerminateJobObject(t.job, killedCode) } // empty sees whether it worked

// jobAccounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h.
type jobAccounting struct {
	totalUserTime, totalKernelTime           int64
	thisPeriodUserTime, thisPeriodKernelTime int64
	pageFaults                               uint32
	totalProcesses, activeProcesses          uint32
	terminatedProcesses                      uint32
}

func (t *tree) empty() bool {
	var info jobAccounting
	err := windows.QueryInformationJobObject(t.job, windows.JobObjectBasicAccountingInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	return err == nil && info.activeProcesses == 0
}

func (t *tree) close() { _ = windows.CloseHandle(t.job) } // a handle of ours that is open: it has no reason to fail
