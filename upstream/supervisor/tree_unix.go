//go:build unix

package supervisor

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// sealDescriptors sees to it that processes inherit nothing but their three streams. What Go opens is not inherited; what
// spillway itself was given by whoever started it would be.
func sealDescriptors() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // no such folder on this system: nothing more can be done
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// tree is a process group whose leader is the process.
type tree struct {
	pgid  int // 0 before the launch
	guard *Guard
}

func newTree(cmd *exec.Cmd, guard *Guard) (*tree, error) {
	// A group of its own also keeps the terminal's Ctrl+C away: spillway stops its processes itself, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	return &tree{guard: guard}, nil
}

func (t *tree) adopt(p *os.Process) error {
	t.pgid = p.Pid
	return t.guard.add(t.pgid)
}

func (t *tree) interrupt(signal string) error { return syscall.Kill(-t.pgid, signalNumber(signal)) }

// kill ends the group. No process of it escapes by forking: the kernel signals a group and lets members fork one after
// the other.
func (t *tree) kill() { _ = syscall.Kill(-t.pgid, syscall.SIGKILL) } // the only error that matters is seen by empty

// empty says whether nothing of the group lives. Where spillway is the init process of a container, orphans of the group are
// its children, and zombies until it waits for them.
func (t *tree) empty() bool {
	for {
		pid, err := syscall.Wait4(-t.pgid, nil, syscall.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return errors.Is(syscall.Kill(-t.pgid, 0), syscall.ESRCH) || onlyZombies(t.pgid)
}

// close takes the group off the guard's list: its number may soon be somebody else's.
func (t *tree) close() {
	if t.pgid != 0 && t.empty() {
		t.guard.del(t.pgid)
	}
}
