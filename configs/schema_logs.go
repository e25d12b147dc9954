package configs

import (
	"slices"
	"strings"
	"time"
)

// path reads the path of a file or folder, relative to the folder of the configuration.
func (r *reader) path(n *node) (string, bool) {
	s, ok := r.text(n)
	if ok && s == "" {
		r.refuse(n, "want a path")
		return "", false
	}
	return absolute(r.dir, s), ok
}

// optionalPath is path, but "" is no path.
func (r *reader) optionalPath(n *node) (string, bool) {
	if n.kind == scalar && n.text == "" {
		return "", true
	}
	return r.path(n)
}

// readAccessLog reads off, a path, or a section.
func readAccessLog(r *reader, n *node) func(*draft) {
	if n.kind == mapping {
		var read AccessLog
		places := section(r, n, &read, accessLogFields())
		return func(d *draft) {
			if places.Has("path") {
				d.AccessLog.Path = read.Path
			}
			if read.Format != "" {
				d.AccessLog.Format = read.Format
			}
			d.AccessLog.Rotate = read.Rotate
			d.AccessLog.Places = places
		}
	}
	path, ok := r.offOrPath(n)
	if !ok {
		return nil
	}
	return func(d *draft) { d.AccessLog.Path, d.AccessLog.Places = path, Places{"": n.place, "path": n.place} }
}

// offOrPath reads a path or off, which is "".
func (r *reader) offOrPath(n *node) (string, bool) {
	if n.isOff() {
		return "", true
	}
	return r.path(n)
}

func (n *node) isOff() bool { return n.kind == scalar && (n.text == "off" || n.text == "false") }

// rotate reads off or a section.
func (r *reader) rotate(n *node) (Rotate, bool) {
	if n.isOff() {
		return Rotate{}, true
	}
	const example = "{size: 100m, every: 1d, keep: 10, compress: on}"
	if n.kind != mapping {
		r.refuse(n, "want off or %s, got %s", example, n.describe())
		return Rotate{}, false
	}
	o := defaultRotate()
	places := section(r, n, &o, rotateFields())
	if !places.Has("size") && !places.Has("every") {
		r.refuse(n, "needs size, every or both, such as %s", example)
		return Rotate{}, false
	}
	return o, o.Size > 0 || o.Every > 0
}

const (
	leastRotateSize  = 64 * KiB              // less than a minute of a log, and a folder full of files
	leastRotateEvery = Duration(time.Minute) // the files' names have no seconds to spare
	mostKept         = 10000                 // the folder is listed at each rotation
)

func (r *reader) rotateSize(n *node) (Size, bool) {
	v, ok := r.size(n)
	if ok && v < leastRotateSize {
		r.refuse(n, "%v is too small; want at least %v, or off", v, leastRotateSize)
		return 0, false
	}
	return v, ok
}

func (r *reader) rotateEvery(n *node) (Duration, bool) {
	v, ok := r.duration(n)
	if ok && v < leastRotateEvery {
		r.refuse(n, "%v is too short; want at least %v, or off", v, leastRotateEvery)
		return 0, false
	}
	return v, ok
}

// control reads auto, off, or where the command line finds us.
func (r *reader) control(n *node) (string, bool) {
	s, ok := r.text(n)
	switch {
	case !ok:
		return "", false
	case s == "auto":
		return "", true
	case n.isOff():
		return ControlOff, true
	case s == "":
		r.refuse(n, "want auto, off, the path of a unix socket, or on Windows the name of a pipe")
		return "", false
	}
	return controlName(r.dir, s), true
}

// logFormat reads the name of a built-in format, or a line with variables.
func (r *reader) logFormat(n *node) (Template, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	builtin := []string{"combined", "json"}
	if slices.Contains(builtin, s) {
		return Template(s), true // a name
	}
	if !strings.Contains(s, "$") {
		hint := didYouMean(s, builtin)
		if hint == "" {
			hint = "; want combined, json, or a line with $variables"
		}
		r.refuse(n, "unknown format %s%s", quote(s), hint)
		return "", false
	}
	return r.template(n, s), true
}

// readErrorLog reads a path or a section.
func readErrorLog(r *reader, n *node) func(*draft) {
	if n.kind == mapping {
		var read ErrorLog
		places := section(r, n, &read, errorLogFields())
		return func(d *draft) {
			if read.Path != "" {
				d.ErrorLog.Path = read.Path
			}
			if read.Level != "" {
				d.ErrorLog.Level = read.Level
			}
			if read.Format != "" {
				d.ErrorLog.Format = read.Format
			}
			d.ErrorLog.Rotate = read.Rotate
			d.ErrorLog.Places = places
		}
	}
	path, ok := r.errorLogPath(n)
	if !ok {
		return nil
	}
	return func(d *draft) { d.ErrorLog.Path, d.ErrorLog.Places = path, Places{"": n.place, "path": n.place} }
}

// errorLogPath reads a path or stderr. nginx has no off for its error log: a file called off would be the surprise.
func (r *reader) errorLogPath(n *node) (string, bool) {
	switch {
	case n.kind == scalar && n.text == Stderr:
		return Stderr, true
	case n.isOff():
		r.refuse(n, "the error log cannot be off; want a path or stderr, and level: emerg for the least")
		return "", false
	}
	return r.path(n)
}

// admin reads off or a section.
func (r *reader) admin(n *node) (Admin, bool) {
	if n.isOff() {
		return Admin{Places: Places{"": n.place}}, true
	}
	if n.kind != mapping {
		r.refuse(n, `want off or {listen: "127.0.0.1:9180"}, got %s`, n.describe())
		return Admin{}, false
	}
	var a Admin
	a.Places = section(r, n, &a, adminFields())
	if !a.Places.Has("listen") {
		r.refuse(n, `listen is missing, such as {listen: "127.0.0.1:9180"}`)
	}
	if a.Address != "" {
		a.Network = Network(a.Address)
	}
	return a, true
}

// why reads off or a section.
func (r *reader) why(n *node) (Why, bool) {
	if n.isOff() {
		return Why{Places: Places{"": n.place}}, true
	}
	if n.kind != mapping {
		r.refuse(n, "want off or {keep: 1000, memory: 4m, header: on}, got %s", n.describe())
		return Why{}, false
	}
	w := defaultWhy()
	w.Places = section(r, n, &w, whyFields())
	return w, true
}

const leastWhyMemory = 64 * KiB // one request with all its attempts, and the last lines of its processes

func (r *reader) whyMemory(n *node) (Size, bool) {
	v, ok := r.size(n)
	if ok && v < leastWhyMemory {
		r.refuse(n, "%v is too small; want at least %v", v, leastWhyMemory)
		return 0, false
	}
	return v, ok
}

func (r *reader) adminListen(n *node) (string, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	return r.address(n, s)
}

func (r *reader) address(n *node, s string) (string, bool) {
	address, err := ParseListen(s)
	if err != nil {
		r.refuse(n, "wrong address %s; %v", quote(s), err)
	}
	return address, err == nil
}

// listen reads one address or a list of addresses.
func (r *reader) listen(n *node) ([]Listen, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	all := []Listen{}
	if len(texts) == 0 {
		r.refuse(n, "is empty")
	}
	for i, s := range texts {
		l, good := r.listenAt(n.list()[i], s)
		ok = ok && good
		all = append(all, l)
	}
	return all, ok
}

// listenAt reads an address, or one with the word tls behind it.
func (r *reader) listenAt(n *node, s string) (Listen, bool) {
	address, word, _ := strings.Cut(s, " ")
	switch word = strings.TrimSpace(word); word {
	case "", "tls":
	case "ssl":
		r.refuse(n, "%s: the word is tls here; write %s", quote(s), quote(address+" tls"))
		return Listen{}, false
	default:
		r.refuse(n, "unknown %s behind the address in %s; want tls or nothing", quote(word), quote(s))
		return Listen{}, false
	}
	address, ok := r.address(n, address)
	return Listen{address, word == "tls"}, ok
}
