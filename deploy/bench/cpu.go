package main

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

// cpuTime is the CPU time, user and system, that a process and its children have taken so far. Processes that have ended
// are not counted.
func cpuTime(root int) (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	found := false
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, parent, used, err := parseStat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if pid == root || parent == root {
			sum += used
			found = true
		}
	}
	if !found {
		return 0, fmt.Errorf("process %d is gone", root)
	}
	return sum, nil
}

// parseStat reads fields 1, 4, 14 and 15 of proc_pid_stat(5). Field 2, the name, is in parentheses and may contain anything.
func parseStat(text string) (pid, parent int, used time.Duration, err error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, 0, 0, fmt.Errorf("no name in %q", text)
	}
	rest := strings.Fields(text[end+1:]) // from field 3 on
	if len(rest) < 13 {
		return 0, 0, 0, fmt.Errorf("too few fields in %q", text)
	}
	var numbers [4]int
	for i, field := range []string{strings.TrimSpace(text[:open]), rest[1], rest[11], rest[12]} {
		if numbers[i], err = strconv.Atoi(field); err != nil {
			return 0, 0, 0, err
		}
	}
	return numbers[0], numbers[1], time.Duration(numbers[2]+numbers[3]) * tick, nil
}
