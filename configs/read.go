package configs

import (
	"slices"
	"strconv"
	"strings"
)

// reader turns the nodes of one file into values. A value that is not right becomes a problem and false; reading goes on.
type reader struct {
	dir       string // absolute; relative paths begin here
	problems  Problems
	templates []WrittenTemplate // read so far
}

func (r *reader) refuse(n *node, format string, args ...any) {
	if n.kind == broken {
		return
	}
	r.problems = append(r.problems, n.place.problem(format, args...))
}

// field is one key of a section T. read returns what stores the value, or nil when the value was refused.
type field[T any] struct {
	key  string
	read func(r *reader, n *node) func(to *T)
}

// value makes a field from what reads the value and where it is stored.
func value[T, V any](key string, read func(*reader, *node) (V, bool), at func(*T) *V) field[T] {
	return field[T]{key, func(r *reader, n *node) func(*T) {
		v, ok := read(r, n)
		if !ok {
			return nil
		}
		return func(to *T) { *at(to) = v }
	}}
}

// section reads a mapping into to, and returns where its keys were written, refused values included.
func section[T any](r *reader, n *node, to *T, fields []field[T]) Places {
	places := Places{"": n.place}
	if n.kind != mapping {
		r.refuse(n, "want keys and values, such as %s: ..., got %s", fields[0].key, n.describe())
		for _, f := range fields {
			places[f.key] = n.place // one problem is enough: no key is missing as well
		}
		return places
	}
	for _, p := range n.pairs {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.key == p.key })
		if i < 0 {
			meant := r.refuseKey(p, keys(fields), to)
			if _, written := places[meant]; meant != "" && !written {
				places[meant] = p.value.place // one problem is enough: the key is not missing as well
			}
			continue
		}
		places[p.key] = p.value.place
		for _, inner := range p.value.pairs {
			places[p.key+"."+inner.key] = inner.value.place // a value that is a small section keeps no places of its own
		}
		if set := fields[i].read(r, p.value); set != nil {
			set(to)
		}
	}
	return places
}

func keys[T any](fields []field[T]) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	return names
}

// mostListed is how many keys are listed in one line.
const mostListed = 12

// refuseKey refuses a key of section, and returns the one that was meant, "" when none is near.
func (r *reader) refuseKey(p pair, known []string, section any) string {
	if home := homeOf(p.key); home != "" {
		r.refuse(p.value, "not allowed here; it belongs to %s", home)
		return ""
	}
	best := nearestKey(p.key, known)
	switch {
	case best != "":
		r.refuse(p.value, "unknown key; did you mean %s?", best)
	case len(known) > mostListed:
		r.refuse(p.value, "unknown key; full.yaml has all those of %s", nameOf(section))
	default:
		r.refuse(p.value, "unknown key; known here: %s", strings.Join(known, " "))
	}
	return best
}

// nameOf names a section that has too many keys to list them.
func nameOf(section any) string {
	switch section.(type) {
	case *draft:
		return "the top level"
	case *serverDraft:
		return "a server"
	case *locationDraft:
		return "a location"
	case *upstreamDraft:
		return "an upstream"
	case *Backend:
		return "a backend"
	}
	return "this section"
}

// layer is what one section says about inherited values S, in the order of the file.
type layer[S any] []assignment[S]

type assignment[S any] struct {
	key   string
	place Place
	set   func(*S) // nil when the value was refused
}

// inherited makes fields of a section T from the fields of inherited values S: the section keeps them in its layer.
func inherited[T, S any](fields []field[S], at func(*T) *layer[S]) []field[T] {
	lifted := make([]field[T], len(fields))
	for i, f := range fields {
		lifted[i] = field[T]{f.key, func(r *reader, n *node) func(*T) {
			a := assignment[S]{f.key, n.place, f.read(r, n)}
			return func(to *T) { *at(to) = append(*at(to), a) }
		}}
	}
	return lifted
}

// apply stores the values of layers, the last one wins, and notes in places where they are from. It reports whether all
// of them could be read.
func apply[S any](to *S, places Places, layers ...layer[S]) bool {
	complete := true
	for _, l := range layers {
		for _, a := range l {
			places[a.key] = a.place
			if a.set == nil {
				complete = false
				continue
			}
			a.set(to)
		}
	}
	return complete
}

// describe names what is there in place of what was wanted.
func (n *node) describe() string {
	switch n.kind {
	case mapping:
		if len(n.pairs) == 1 && n.pairs[0].value.kind == empty {
			return "braces; write a text with braces in quotes: \"{" + printable(n.pairs[0].key) + "}\""
		}
		return "keys and values"
	case list:
		return "a list"
	case empty:
		return "nothing"
	case scalar, broken:
	}
	return quote(n.text)
}

// text reads one value as it is written; it may be "".
func (r *reader) text(n *node) (string, bool) {
	if n.kind == scalar {
		return n.text, true
	}
	if n.kind == empty {
		r.refuse(n, "no value")
	} else {
		r.refuse(n, "want one value, got %s", n.describe())
	}
	return "", false
}

// texts reads a list of values; one value alone is a list of one.
func (r *reader) texts(n *node) ([]string, bool) {
	ok := true
	values := []string{}
	for _, item := range n.list() {
		s, good := r.text(item)
		ok = ok && good
		values = append(values, s)
	}
	return values, ok
}

// list returns the items of a list, or the value itself as the only one.
func (n *node) list() []*node {
	if n.kind == list {
		return n.items
	}
	return []*node{n}
}

// get returns the value of a key that a mapping has.
func (n *node) get(key string) *node {
	i := slices.IndexFunc(n.pairs, func(p pair) bool { return p.key == key })
	return n.pairs[i].value
}

func (r *reader) size(n *node) (Size, bool) {
	s, ok := r.text(n)
	if !ok {
		return 0, false
	}
	v, err := ParseSize(s)
	if err != nil {
		r.refuse(n, "wrong size %s; %v", quote(s), err)
	}
	return v, err == nil
}

// largestBuffer bounds each size of memory, so that no product of a number and a size overflows.
const largestBuffer = 1 * GiB

// bufferSize is size for a piece of memory, which cannot be empty.
func (r *reader) bufferSize(n *node) (Size, bool) {
	v, ok := r.size(n)
	if ok && (v < 1 || v > largestBuffer) {
		r.refuse(n, "wrong size %s; want 1 to %v", quote(n.text), largestBuffer)
		return 0, false
	}
	return v, ok
}

// budget is size for what all exchanges share, which cannot be nothing.
func (r *reader) budget(n *node) (Size, bool) {
	v, ok := r.size(n)
	if ok && v < 1 {
		r.refuse(n, "must be more than 0")
		return 0, false
	}
	return v, ok
}

func (r *reader) duration(n *node) (Duration, bool) {
	s, ok := r.text(n)
	if !ok {
		return 0, false
	}
	v, err := ParseDuration(s)
	if err != nil {
		r.refuse(n, "wrong time %s; %v", quote(s), err)
	}
	return v, err == nil
}

// timeout is duration for a wait, which cannot be 0: no wait may be without an end.
func (r *reader) timeout(n *node) (Duration, bool) {
	v, ok := r.duration(n)
	if ok && v == 0 {
		r.refuse(n, "must be more than 0")
		return 0, false
	}
	return v, ok
}

// offOr returns what reads off, which is 0, or what read reads.
func offOr[V ~int | ~int64](read func(*reader, *node) (V, bool)) func(*reader, *node) (V, bool) {
	return func(r *reader, n *node) (V, bool) {
		if n.isOff() {
			return 0, true
		}
		return read(r, n)
	}
}

// number returns what reads an integer between least and most.
func number(least, most int) func(*reader, *node) (int, bool) {
	return func(r *reader, n *node) (int, bool) {
		s, ok := r.text(n)
		if !ok {
			return 0, false
		}
		v, err := parseDigits(s)
		if err != nil || v < int64(least) || v > int64(most) {
			r.refuse(n, "wrong number %s; want %d to %d", quote(s), least, most)
			return 0, false
		}
		return int(v), true
	}
}

// percent reads a share, such as 20%.
func (r *reader) percent(n *node) (int, bool) {
	s, ok := r.text(n)
	if !ok {
		return 0, false
	}
	digits, found := strings.CutSuffix(s, "%")
	v, err := parseDigits(digits)
	if !found || err != nil || v > 100 {
		r.refuse(n, "wrong share %s; want 0%% to 100%%", quote(s))
		return 0, false
	}
	return int(v), true
}

// anyCount is the largest number where only the sign matters.
const anyCount = 1<<31 - 1

func (r *reader) flag(n *node) (bool, bool) {
	s, ok := r.text(n)
	if !ok {
		return false, false
	}
	switch s {
	case "on", "true":
		return true, true
	case "off", "false":
		return false, true
	}
	r.refuse(n, "want on or off, got %s", quote(s))
	return false, false
}

// word returns what reads one of the known words.
func word[V ~string](known []V) func(*reader, *node) (V, bool) {
	return func(r *reader, n *node) (V, bool) {
		s, ok := r.text(n)
		if !ok {
			return "", false
		}
		if slices.Contains(known, V(s)) {
			return V(s), true
		}
		names := strs(known)
		if hint := didYouMean(s, names); hint != "" {
			r.refuse(n, "unknown %s%s", quote(s), hint)
		} else {
			r.refuse(n, "unknown %s; want %s", quote(s), strings.Join(names, " or "))
		}
		return "", false
	}
}

func strs[V ~string](values []V) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

// fields reads names with texts, in the order of the file.
func (r *reader) fields(n *node) ([]Field, bool) {
	if n.kind != mapping {
		r.refuse(n, "want names and values, got %s", n.describe())
		return nil, false
	}
	var all []Field
	for _, p := range n.pairs {
		if p.value.kind == empty {
			r.refuse(p.value, `no value; an empty one is written ""`)
			continue
		}
		s, ok := r.text(p.value)
		if strings.ContainsAny(p.key+s, "\r\n\x00") || p.key == "" {
			r.refuse(p.value, "a name is not empty, and neither a name nor a value has a line break")
		} else if ok {
			all = append(all, Field{p.key, s})
		}
	}
	return all, true // what is right serves the checks that follow
}

// buffers reads nginx's "8 8k".
func (r *reader) buffers(n *node) (Buffers, bool) {
	s, ok := r.text(n)
	if !ok {
		return Buffers{}, false
	}
	const most = 1 << 16 // far above what a response can use, and without overflow when multiplied
	if words := strings.Fields(s); len(words) == 2 {
		number, err := strconv.Atoi(words[0])
		size, sizeErr := ParseSize(words[1])
		if err == nil && sizeErr == nil && number >= 0 && number <= most && size >= 1 && size <= largestBuffer {
			return Buffers{number, size}, true
		}
	}
	r.refuse(n, `wrong buffers %s; want a number and a size, such as "8 8k"`, quote(s))
	return Buffers{}, false
}
