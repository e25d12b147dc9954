package configs

import (
	"slices"
	"strings"
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
			d.AccessLog.Places = places
		}
	}
	path, ok := r.accessLogPath(n)
	if !ok {
		return nil
	}
	return func(d *draft) { d.AccessLog.Path, d.AccessLog.Places = path, Places{"": n.place, "path": n.place} }
}

// accessLogPath reads a path or off, which is "".
func (r *reader) accessLogPath(n *node) (string, bool) {
	if n.isOff() {
		return "", true
	}
	return r.path(n)
}

func (n *node) isOff() bool { return n.kind == scalar && (n.text == "off" || n.text == "false") }

// logFormat reads the name of a built-in format, or a line with variables.
func (r *reader) logFormat(n *node) (string, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	if builtin := []string{"combined", "json"}; !slices.Contains(builtin, s) && !strings.Contains(s, "$") {
		hint := didYouMean(s, builtin)
		if hint == "" {
			hint = "; want combined, json, or a line with $variables"
		}
		r.refuse(n, "unknown format %s%s", quote(s), hint)
		return "", false
	}
	return s, true
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
func (r *reader) listen(n *node) ([]string, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	addresses := []string{}
	if len(texts) == 0 {
		r.refuse(n, "is empty")
	}
	for i, s := range texts {
		address, good := r.address(n.list()[i], s)
		ok = ok && good
		addresses = append(addresses, address)
	}
	return addresses, ok
}
