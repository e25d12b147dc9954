package cgi

import (
	"bytes"

	"spillway/upstream"
)

// Vars are the CGI variables of one request, in order. The zero value is empty; one that is used again keeps its memory. It
// is not to be copied.
type Vars struct {
	buf  []byte // names and values, one after the other
	ends []int  // where each name and each value ends in buf, in turn

	// While Fill runs:
	fields []field          // the fields that become HTTP_ variables
	set    []upstream.Field // Request.Set
	given  []upstream.Field // Request.Params: computed variables of these names are left out

	visit func(name, value []byte) bool // the method note, bound once
}

// field is a header field; its memory is borrowed.
type field struct {
	name, value []byte // name is nil once the field went into an earlier one of the same name
}

// Len returns the number of variables.
func (v *Vars) Len() int { return len(v.ends) / 2 }

// Size returns the bytes of all names and values together.
func (v *Vars) Size() int { return len(v.buf) }

// At returns the variable i; both parts are valid until the next Fill.
func (v *Vars) At(i int) (name, value []byte) {
	start := 0
	if i > 0 {
		start = v.ends[2*i-1]
	}
	middle, end := v.ends[2*i], v.ends[2*i+1]
	return v.buf[start:middle:middle], v.buf[middle:end:end]
}

// Pair is At in one piece: the value stands behind the name, whose length comes with it.
func (v *Vars) Pair(i int) (pair []byte, nameLen int) {
	start := 0
	if i > 0 {
		start = v.ends[2*i-1]
	}
	end := v.ends[2*i+1]
	return v.buf[start:end:end], v.ends[2*i] - start
}

// reset empties v for a request.
func (v *Vars) reset(req *upstream.Request) {
	v.buf, v.ends, v.fields = v.buf[:0], v.ends[:0], v.fields[:0]
	v.set, v.given = req.Set, req.Params
}

// release drops what was borrowed from the request.
func (v *Vars) release() {
	clear(v.fields)
	v.set, v.given = nil, nil
}

// begin opens a variable, unless the configuration gives one of that name. The caller appends the value to v.buf and calls
// end.
func (v *Vars) begin(name string) bool {
	if v.isGiven(name) {
		return false
	}
	v.buf = append(v.buf, name...)
	v.ends = append(v.ends, len(v.buf))
	return true
}

// isGiven says whether the configuration gives a variable of that name.
func (v *Vars) isGiven(name string) bool {
	for i := range v.given {
		if string(v.given[i].Name) == name {
			return true
		}
	}
	return false
}

// end closes the variable that begin opened.
func (v *Vars) end() { v.ends = append(v.ends, len(v.buf)) }

// add adds a computed variable.
func add[T []byte | string](v *Vars, name string, value T) {
	if v.begin(name) {
		v.buf = append(v.buf, value...)
		v.end()
	}
}

// beginField opens the HTTP_ variable of a header field: upper case, with underscores for hyphens (RFC 3875, section
// 4.1.18).
func (v *Vars) beginField(name []byte) bool {
	start := len(v.buf)
	v.buf = append(append(v.buf, "HTTP_"...), name...)
	for upper, i := v.buf[start+len("HTTP_"):], 0; i < len(upper); i++ {
		upper[i] = variableBytes[upper[i]]
	}
	for i := range v.given {
		if bytes.Equal(v.given[i].Name, v.buf[start:]) {
			v.buf = v.buf[:start]
			return false
		}
	}
	v.ends = append(v.ends, len(v.buf))
	return true
}

// variableBytes are a field name's bytes in a variable's name.
var variableBytes = func() (table [256]byte) {
	for i := range table {
		c := byte(i)
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case c == '-':
			c = '_'
		}
		table[i] = c
	}
	return table
}()

// sameVariable says whether two field names become the same variable.
func sameVariable(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if variableBytes[a[i]] != variableBytes[b[i]] {
			return false
		}
	}
	return true
}
