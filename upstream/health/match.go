package health

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Match says which answer is a good one. The zero value wants a status from 200 to 399.
type Match struct {
	Status []Range // one of them; none is 200-399
	Body   string  // is in what is read of the body
	Header []Field // all of them
}

// Range is a range of statuses.
type Range struct{ First, Last int }

// String returns the range as a configuration has it.
func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Field is a header field that an answer must have.
type Field struct{ Name, Value string }

// check says what is wrong with an answer.
func (m *Match) check(a *Answer) error {
	wanted := m.Status
	if len(wanted) == 0 {
		wanted = []Range{{200, 399}}
	}
	good := false
	var texts []string
	for _, r := range wanted {
		good = good || r.First <= a.Status && a.Status <= r.Last
		texts = append(texts, r.String())
	}
	if !good {
		return fmt.Errorf("status %d, want %s", a.Status, strings.Join(texts, " "))
	}
	for _, f := range m.Header {
		if got := a.Header(f.Name); got != f.Value {
			return fmt.Errorf("header field %s is %q, want %q", f.Name, got, f.Value)
		}
	}
	if !bytes.Contains(a.Body, []byte(m.Body)) {
		return fmt.Errorf("%q is not in the body", m.Body)
	}
	return nil
}
