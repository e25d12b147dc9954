package routing_test

import (
	"testing"

	"spillway/proxy/routing"
)

func TestTable_HostsByNginxRules(t *testing.T) {
	var b routing.Builder[string]
	add := func(value string, isDefault routing.DefaultServer, names ...string) {
		t.Helper()
		s, err := b.Server(names, isDefault)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Location(routing.Pattern{Path: "/"}, value); err != nil {
			t.Fatal(err)
		}
	}
	add("default", true, "_")
	add("exact", false, "www.example.com", "example.com")
	add("suffix", false, "*.example.com")
	add("longer suffix", false, "*.sub.example.com")
	add("prefix", false, "www.example.*")
	add("longer prefix", false, "mail.www.example.*")
	table := b.Build()

	f := func(host, want string) {
		t.Helper()
		if got, ok := table.Find([]byte(host), []byte("/x")); !ok || got != want {
			t.Errorf("host %q: got %q, %v, want %q", host, got, ok, want)
		}
	}
	f("www.example.com", "exact")
	f("example.com", "exact")
	f("a.example.com", "suffix")
	f("a.b.example.com", "suffix")
	f("a.sub.example.com", "longer suffix")
	f("sub.example.com", "suffix")
	f("www.example.org", "prefix")
	f("www.example.co.uk", "prefix")
	f("mail.www.example.de", "longer prefix")
	f("badexample.com", "default")
	f("", "default")
	f(".", "default")
	f("_", "default")
}

func TestTable_PathsExactThenLongestPrefix(t *testing.T) {
	var b routing.Builder[string]
	s, err := b.Server([]string{"h"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		path  string
		exact bool
	}{{"/a/", false}, {"/", false}, {"/a/b", false}, {"/a/b", true}, {"/c", true}, {"/d/", false}} {
		name := l.path
		if l.exact {
			name = "= " + name
		}
		if err := s.Location(routing.Pattern{Path: l.path, Exact: l.exact}, name); err != nil {
			t.Fatal(err)
		}
	}
	table := b.Build()
	f := func(path, want string) {
		t.Helper()
		if got, ok := table.Find([]byte("h"), []byte(path)); !ok || got != want {
			t.Errorf("path %q: got %q, %v, want %q", path, got, ok, want)
		}
	}
	f("/", "/")
	f("/a", "/")
	f("/a/", "/a/")
	f("/a/x", "/a/")
	f("/a/b", "= /a/b")
	f("/a/bc", "/a/b")
	f("/c", "= /c")
	f("/c/", "/")
	f("/d/e", "/d/")

	if _, ok := table.Find([]byte("other"), []byte("/")); ok {
		t.Error("a host that nothing matches was routed although there is no default server")
	}
}

func TestTable_NamedLocations(t *testing.T) {
	var b routing.Builder[string]
	for _, host := range []string{"a", "b"} {
		s, err := b.Server([]string{host}, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "@x"} {
			if err := s.Location(routing.Pattern{Path: path}, path+" of "+host); err != nil {
				t.Fatal(err)
			}
		}
		if s.Location(routing.Pattern{Path: "@x"}, "again") == nil {
			t.Error("a name was given twice")
		}
	}
	table := b.Build()
	f := func(host, name, want string) {
		t.Helper()
		if got, ok := table.Named([]byte(host), name); got != want || ok != (want != "") {
			t.Errorf("%s of %s: got %q, %v, want %q", name, host, got, ok, want)
		}
	}
	f("a", "@x", "@x of a")
	f("b", "@x", "@x of b")
	f("c", "@x", "")
	f("a", "@y", "")
	f("a", "/", "")
	if got, _ := table.Find([]byte("a"), []byte("@x")); got != "" {
		t.Errorf("a path led to the named location: got %q", got)
	}
}

func TestBuilder_RefusesConflicts(t *testing.T) {
	var b routing.Builder[int]
	s, err := b.Server([]string{"a", "*.b"}, true)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("got no error, want one")
		}
	}
	server := func(names []string, isDefault routing.DefaultServer) error {
		_, err := b.Server(names, isDefault)
		return err
	}
	refused(server([]string{"A"}, false))
	refused(server([]string{"*.b"}, false))
	refused(server([]string{"c"}, true))
	refused(server([]string{"a.*.b"}, false))
	refused(s.Location(routing.Pattern{Path: "x"}, 1))
	if err := s.Location(routing.Pattern{Path: "/x"}, 1); err != nil {
		t.Fatal(err)
	}
	refused(s.Location(routing.Pattern{Path: "/x"}, 2))
}

func TestTable_FindDoesNotAllocate(t *testing.T) {
	var b routing.Builder[int]
	s, err := b.Server([]string{"*.example.com"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Location(routing.Pattern{Path: "/"}, 1); err != nil {
		t.Fatal(err)
	}
	table, host, path := b.Build(), []byte("a.example.com"), []byte("/some/path")
	if n := testing.AllocsPerRun(100, func() { table.Find(host, path) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
