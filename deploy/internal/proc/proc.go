package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// CPUTime is the CPU time, user and system, that a program has taken so far.
func CPUTime(root int) (time.Duration, error) {
	processes, err := family(root)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, p := range processes {
		sum += p.used
	}
	return sum, nil
}

// PeakRSS is the most resident memory that each process of a program has had so far, in bytes, added up.
func PeakRSS(root int) (int64, error) { return sumOf(root, "status", "VmHWM:") }

// Memory is the resident memory of a program now, in bytes; what its processes share with each other, or with other
// programs, is divided among those that share it.
func Memory(root int) (int64, error) { return sumOf(root, "smaps_rollup", "Pss:") }

// sumOf adds up the sizes that a line of a file in /proc/PID has for each process of a program.
func sumOf(root int, file, line string) (int64, error) {
	processes, err := family(root)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, file))
		if err != nil {
			continue // it has ended
		}
		size, err := parseMemory(string(text), line)
		if err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, nil
}

// RSS is the resident memory of a process at present, without its children, in bytes.
func RSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(text), "VmRSS:")
}

// Files is the number of files, sockets included, that a process has open.
func Files(pid int) (int, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(names), err
}

// WithEnv are the processes that were started with an entry such as NAME=value in their environment.
func WithEnv(entry string) ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !slices.Contains(strings.Split(string(text), "\x00"), entry) {
			continue // it has ended, or is somebody else's
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err != nil {
			return nil, err
		}
		found = append(found, pid)
	}
	return found, nil
}

// Deleted is the size of the files that a program has open and that have no name any more, in bytes, and their number.
func Deleted(root int) (size int64, files int, err error) {
	processes, err := family(root)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range processes {
		more, n, err := OwnDeleted(p.pid)
		if err != nil {
			return 0, 0, err
		}
		size, files = size+more, files+n
	}
	return size, files, nil
}

// OwnDeleted is Deleted for a process without its children.
func OwnDeleted(pid int) (size int64, files int, err error) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, link := range links {
		name, err := os.Readlink(link)
		if err != nil || !strings.HasSuffix(name, " (deleted)") {
			continue // closed meanwhile, or no such file
		}
		// The link leads to the file itself, not to its name.
		if info, err := os.Stat(link); err == nil && info.Mode().IsRegular() {
			size += info.Size()
			files++
		}
	}
	return size, files, nil
}

// A process is a line of /proc/PID/stat.
type process struct {
	pid, parent int
	used        time.Duration
}

// family is a process with its children.
func family(root int) ([]process, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		p, err := parseStat(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if p.pid == root || p.parent == root {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("process %d is gone", root)
	}
	return found, nil
}

// parseStat reads fields 1, 4, 14 and 15 of proc_pid_stat(5). Field 2, the name, is in parentheses and may contain anything.
func parseStat(text string) (process, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("no name in %q", text)
	}
	rest := strings.Fields(text[end+1:]) // from field 3 on
	if len(rest) < 13 {
		return process{}, fmt.Errorf("too few fields in %q", text)
	}
	var numbers [4]int
	var err error
	for i, field := range []string{strings.TrimSpace(text[:open]), rest[1], rest[11], rest[12]} {
		if numbers[i], err = strconv.Atoi(field); err != nil {
			return process{}, err
		}
	}
	return process{pid: numbers[0], parent: numbers[1], used: time.Duration(numbers[2]+numbers[3]) * tick}, nil
}

// parseMemory reads a line such as VmHWM of proc_pid_status(5), in bytes; a process that is ending has none.
func parseMemory(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, nil
}
