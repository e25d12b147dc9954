package proc

import (
	"fmt"
	"os"
	"path/filepath"
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
func PeakRSS(root int) (int64, error) {
	processes, err := family(root)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		if err != nil {
			continue // it has ended
		}
		peak, err := parsePeak(string(text))
		if err != nil {
			return 0, err
		}
		sum += peak
	}
	return sum, nil
}

// Deleted is the size of the files that a program has open and that have no name any more, in bytes, and their number.
func Deleted(root int) (size int64, files int, err error) {
	processes, err := family(root)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range processes {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
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

// parsePeak reads VmHWM of proc_pid_status(5), in bytes; a process that is ending has none.
func parsePeak(text string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, nil
}
