package routing

import (
	"fmt"
	"sort"
	"strings"
)

// Pattern is the path rule of a location.
type Pattern struct {
	Path  string // begins with a slash, or with "@": nginx's named location
	Exact bool   // nginx's "location = /path"; else the path is a prefix
}

// Table maps a host and a path to a value.
type Table[V any] struct {
	exact    map[string]*paths[V]
	suffixes map[string]*paths[V] // "*.example.com" under ".example.com"
	prefixes map[string]*paths[V] // "www.example.*" under "www.example."
	fallback *paths[V]
}

// Find returns the value of the location that matches. There is none if no location of the host's server matches, or if
// nothing matches the host and there is no default server. It does not allocate.
func (t *Table[V]) Find(host, path []byte) (V, bool) {
	if p := t.server(host); p != nil {
		return p.find(path)
	}
	var none V
	return none, false
}

// Named returns the value of the location with a name, such as "@fallback", of the host's server.
func (t *Table[V]) Named(host []byte, name string) (V, bool) {
	if p := t.server(host); p != nil {
		v, ok := p.named[name]
		return v, ok
	}
	var none V
	return none, false
}

func (t *Table[V]) server(host []byte) *paths[V] {
	if p := t.exact[string(host)]; p != nil {
		return p
	}
	if len(t.suffixes) > 0 {
		for i, c := range host { // the leftmost dot first: the longest suffix wins
			if c == '.' && i > 0 {
				if p := t.suffixes[string(host[i:])]; p != nil {
					return p
				}
			}
		}
	}
	if len(t.prefixes) > 0 {
		for i := len(host) - 2; i > 0; i-- { // the rightmost dot first: the longest prefix wins
			if host[i] == '.' {
				if p := t.prefixes[string(host[:i+1])]; p != nil {
					return p
				}
			}
		}
	}
	return t.fallback
}

// paths are the locations of one server.
type paths[V any] struct {
	exact    map[string]V
	named    map[string]V
	prefixes []prefix[V] // by length, longest first
}

type prefix[V any] struct {
	path  string
	value V
}

func (p *paths[V]) find(path []byte) (V, bool) {
	if v, ok := p.exact[string(path)]; ok {
		return v, true
	}
	for i := range p.prefixes {
		if prefix := p.prefixes[i].path; len(path) >= len(prefix) && string(path[:len(prefix)]) == prefix {
			return p.prefixes[i].value, true
		}
	}
	var none V
	return none, false
}

// Builder collects servers and their locations.
type Builder[V any] struct {
	table Table[V]
}

// Server is one server while a Builder collects its locations.
type Server[V any] struct {
	paths *paths[V]
}

// Server adds a server with its names: exact ones, "*.suffix" and "prefix.*"; "" and "_" match no host, so such a server
// is reached as the default only. It is an error to give a name to two servers, or to have two default servers.
func (b *Builder[V]) Server(names []string, isDefault DefaultServer) (*Server[V], error) {
	p := &paths[V]{exact: map[string]V{}, named: map[string]V{}}
	for _, name := range names {
		if err := b.name(strings.ToLower(name), p); err != nil {
			return nil, err
		}
	}
	if isDefault {
		if b.table.fallback != nil {
			return nil, fmt.Errorf("second default server %q", names)
		}
		b.table.fallback = p
	}
	return &Server[V]{paths: p}, nil
}

// DefaultServer says whether a server answers for hosts that no other server has.
type DefaultServer bool

func (b *Builder[V]) name(name string, p *paths[V]) error {
	into, key := &b.table.exact, strings.TrimSuffix(name, ".")
	switch {
	case name == "" || name == "_":
		return nil
	case strings.HasPrefix(name, "*."):
		into, key = &b.table.suffixes, key[1:]
	case strings.HasSuffix(name, ".*"):
		into, key = &b.table.prefixes, name[:len(name)-1]
	}
	if strings.Contains(key, "*") {
		return fmt.Errorf("server name %q: a wildcard stands at the begin or the end only", name)
	}
	if *into == nil {
		*into = map[string]*paths[V]{}
	}
	if (*into)[key] != nil {
		return fmt.Errorf("server name %q: conflicting", name)
	}
	(*into)[key] = p
	return nil
}

// Location adds a location to the server.
func (s *Server[V]) Location(pattern Pattern, value V) error {
	if strings.HasPrefix(pattern.Path, "@") {
		if _, twice := s.paths.named[pattern.Path]; twice {
			return fmt.Errorf("location %s: twice", pattern.Path)
		}
		s.paths.named[pattern.Path] = value
		return nil
	}
	if !strings.HasPrefix(pattern.Path, "/") {
		return fmt.Errorf("location %q: wants a path that begins with a slash", pattern.Path)
	}
	if pattern.Exact {
		if _, twice := s.paths.exact[pattern.Path]; twice {
			return fmt.Errorf("location = %s: twice", pattern.Path)
		}
		s.paths.exact[pattern.Path] = value
		return nil
	}
	at := sort.Search(len(s.paths.prefixes), func(i int) bool {
		return len(s.paths.prefixes[i].path) <= len(pattern.Path)
	})
	for i := at; i < len(s.paths.prefixes) && len(s.paths.prefixes[i].path) == len(pattern.Path); i++ {
		if s.paths.prefixes[i].path == pattern.Path {
			return fmt.Errorf("location %s: twice", pattern.Path)
		}
	}
	s.paths.prefixes = append(s.paths.prefixes, prefix[V]{})
	copy(s.paths.prefixes[at+1:], s.paths.prefixes[at:])
	s.paths.prefixes[at] = prefix[V]{path: pattern.Path, value: value}
	return nil
}

// Build returns the table; the builder is not to be used any more.
func (b *Builder[V]) Build() *Table[V] { return &b.table }
