package host

import (
	"fmt"
	"slices"
	"strings"
)

// Process is a program that runs.
type Process struct {
	PID    int    // 0: somebody whom we may not see
	Name   string // of its program, without the folder: nginx, php-cgi.exe; empty when it is not known
	Parent int    // who started it; 0 when that one is gone or unknown
	Orphan bool   // who started it is gone: on Unix it belongs to process 1 now
	Group  int    // its process group; 0 on Windows, which has none
}

// String returns the process for a message: "nginx.exe (pid 4711)".
func (p Process) String() string {
	switch {
	case p.PID == 0:
		return "a process that this account may not see"
	case p.Name == "":
		return fmt.Sprintf("pid %d", p.PID)
	}
	return fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
}

// commLen is how much of a name Linux keeps: TASK_COMM_LEN without its end.
const commLen = 15

// Is says whether the process runs the program name, written without .exe and in any case. Of a long name it is enough when
// the beginning that Linux keeps is the same.
func (p Process) Is(name string) bool {
	own, name := strings.ToLower(p.Name), strings.ToLower(name)
	return strings.TrimSuffix(own, ".exe") == name || len(own) == commLen && strings.HasPrefix(name, own)
}

// Processes returns all processes of the machine that can be seen, in the order of their ids.
func Processes() ([]Process, error) {
	processes, err := allProcesses()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	slices.SortFunc(processes, func(a, b Process) int { return a.PID - b.PID })
	return processes, nil
}

// Lives says whether a process is there and has not begun to end. It is false where that is not to be found out, too.
func Lives(pid int) bool { return lives(pid) }

// Memory returns the resident memory of these processes together, in bytes. Pages that several of them share count for
// each. A process that is gone counts nothing; it is an error when no process could be asked at all.
func Memory(pids ...int) (int64, error) {
	var sum int64
	var failed error
	asked := 0
	for _, pid := range pids {
		n, err := resident(pid)
		if err != nil {
			failed = err
			continue
		}
		asked++
		sum += n
	}
	if asked == 0 && failed != nil {
		return 0, fmt.Errorf("memory of pid %d: %w", pids[len(pids)-1], failed)
	}
	return sum, nil
}
