//go:build linux && !race

package main_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// errorLine is nginx's: time, level, process and thread, connection, message.
var errorLine = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) \d+#\d+: (?:\*\d+ )?(.*)$`)

// What differs between two runs of the same in a line of a log.
var (
	tempFile  = regexp.MustCompile(`temporary file \S+`)
	localTime = regexp.MustCompile(`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`)
	seconds   = regexp.MustCompile(`\b\d+\.\d{3}\b`)
)

// collectLogs waits until the access log has all requests, ends the rival and adds to each observation its lines.
func collectLogs(t *testing.T, r *rival, trials []*trial, seen []observation, logged int) {
	t.Helper()
	eventually(t, r.name+" has logged all requests", func() bool {
		return strings.Count(readFile(t, r.access), "\n") >= logged
	})
	r.stop()
	if n := strings.Count(readFile(t, r.access), "\n"); n != logged {
		t.Errorf("%s: got %d lines in the access log, want %d", r.name, n, logged)
	}
	for i, tr := range trials {
		for _, line := range errorLines(readFile(t, r.errors)) {
			if !strings.Contains(line, tr.path()) {
				continue
			}
			parts := errorLine.FindStringSubmatch(line)
			if parts == nil {
				t.Errorf("%s: %s: not a line of an error log: %s", tr.name, r.name, line)
				continue
			}
			text := tempFile.ReplaceAllString(parts[1]+" "+parts[2], "temporary file <path>")
			seen[i].add(seenErrors, tr.anonymous(text, r, ""))
		}
		for line := range strings.Lines(readFile(t, r.access)) {
			if !strings.Contains(line, tr.path()) {
				continue
			}
			line = localTime.ReplaceAllString(strings.TrimSuffix(line, "\n"), "[<time>]")
			seen[i].add(seenAccess, tr.anonymous(seconds.ReplaceAllString(line, "<seconds>"), r, ""))
		}
	}
}

// errorLines splits an error log. A line that does not begin with a time belongs to the one before: nginx writes what an
// application has sent as it is.
func errorLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if errorLine.MatchString(line) || lines == nil {
			lines = append(lines, line)
		} else {
			lines[len(lines)-1] += `\x0a` + line
		}
	}
	return lines
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
