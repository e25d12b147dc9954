package host

import (
	"fmt"
	"strconv"
)

// Range is a range of ports, both ends included.
type Range struct {
	First, Last int
}

// Contains says whether port is in the range.
func (r Range) Contains(port int) bool { return r.First <= port && port <= r.Last }

// Size returns the number of ports.
func (r Range) Size() int { return r.Last - r.First + 1 }

// String returns "9001-9008", or "9001" for a single port.
func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Exclusion is a range that the system does not take ephemeral ports from.
type Exclusion struct {
	Range

	// Reserved: an administrator has set the ports aside, and a program that asks for one by its number gets it. Else somebody
	// else has taken the range, on Windows Hyper-V or WSL, and to listen there is refused with error 10013.
	Reserved bool
}

// Ephemeral returns the range from which outgoing TCP connections take their ports.
func Ephemeral() (Range, error) {
	r, err := ephemeral()
	if err != nil {
		return Range{}, fmt.Errorf("range of ephemeral ports: %w", err)
	}
	return r, nil
}

// Exclusions returns the ranges that the system leaves out of Ephemeral.
func Exclusions() ([]Exclusion, error) {
	e, err := exclusions()
	if err != nil {
		return nil, fmt.Errorf("excluded ports: %w", err)
	}
	return e, nil
}

// parsePort reads the number of a port; what is none is 0.
func parsePort(s string) int {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0
		}
		if n = 10*n + int(c-'0'); n > 65535 {
			return 0
		}
	}
	return n
}
