package host

import (
	"bytes"
	"errors"
	"strings"
)

// netsh writes in the language of the system, in one of many encodings. What does not change are the digits, so that is all
// that is read.

var errNetsh = errors.New("netsh does not say it in a form that is known")

// parseDynamicPort reads `netsh interface ipv4 show dynamicport tcp`:
//
//	Protocol tcp Dynamic Port Range
//	---------------------------------
//	Start Port      : 49152
//	Number of Ports : 16384
func parseDynamicPort(out []byte) (Range, error) {
	var numbers []int
	for line := range bytes.Lines(out) {
		i := bytes.LastIndexByte(line, ':')
		if n := parsePort(string(bytes.TrimSpace(line[i+1:]))); i >= 0 && n > 0 {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) != 2 || numbers[0]+numbers[1]-1 > 65535 {
		return Range{}, errNetsh
	}
	return Range{numbers[0], numbers[0] + numbers[1] - 1}, nil
}

// parseExcludedPorts reads `netsh interface ipv4 show excludedportrange protocol=tcp`:
//
//	Start Port    End Port
//	----------    --------
//	      5357        5357
//	     50000       50059     *
//
// The star marks what an administrator has set aside.
func parseExcludedPorts(out []byte) ([]Exclusion, error) {
	var found []Exclusion
	ruled := false // the line under the headings was there
	for line := range bytes.Lines(out) {
		ruled = ruled || bytes.Contains(line, []byte("---"))
		fields := strings.Fields(string(line))
		star := len(fields) == 3 && fields[2] == "*"
		if len(fields) != 2 && !star {
			continue
		}
		r := Range{parsePort(fields[0]), parsePort(fields[1])}
		if r.First > 0 && r.First <= r.Last {
			found = append(found, Exclusion{Range: r, Reserved: star})
		}
	}
	if !ruled && len(found) == 0 {
		return nil, errNetsh
	}
	return found, nil
}
