package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong in a configuration.
type Problem struct {
	File    string // as it was given to Load or Parse
	Line    int    // counted from 1
	Key     string // path of the key, such as upstreams.app.method; empty when the file as a whole is meant
	Message string // one line: the offending value, and what would be right
}

// String returns the problem in one line: `spillway.yaml:14: upstreams.app.method: unknown "x"; did you mean y?`.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Message)
}

// Problems is everything that is wrong in a configuration, in the order of the lines.
//
//nolint:errname // Problem is the word of the design; a list of them is an error only when it is returned as one
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of file and line, each one once: a value at the top level that is wrong for
// several locations is one problem.
func (ps Problems) sorted() Problems {
	seen := make(map[Problem]bool, len(ps))
	ps = slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return ps
}

// Place is where a value was written.
type Place struct {
	File string
	Line int    // counted from 1
	Key  string // as in Problem
}

func (p Place) problem(format string, args ...any) Problem {
	return Problem{File: p.File, Line: p.Line, Key: p.Key, Message: fmt.Sprintf(format, args...)}
}

// Places says where the keys of a section were written; a key that is missing here has its default. The empty key is the
// section itself.
type Places map[string]Place

// At returns the place of the first of keys that was written, else that of the section.
func (ps Places) At(keys ...string) Place {
	for _, key := range keys {
		if p, ok := ps[key]; ok {
			return p
		}
	}
	return ps[""]
}

// Has reports whether key was written.
func (ps Places) Has(key string) bool {
	_, ok := ps[key]
	return ok
}

// quote makes a value from the file fit to stand in a message of one line.
func quote(s string) string {
	const most = 80 // characters; enough for every right value, and a message stays readable
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }
	if strings.ContainsFunc(s, unprintable) {
		return strconv.Quote(s)
	}
	return `"` + s + `"` // a path of Windows keeps its single backslashes
}
