// Package routing finds the value for a host and a path by nginx's rules, in one lookup.
//
// Hosts: an exact name wins over the longest name that begins with a wildcard (*.example.com), which wins over the
// longest that ends with one (www.example.*); a host that nothing matches goes to the default server. Paths: an exact
// location wins over the longest prefix; a named location has no path and is asked for by its name. Nothing is decoded or
// normalised here: callers pass the normalised path and the host in lower case, without port and final dot.
//
// A Builder is filled at start; the Table that it makes is immutable and may be used by any number of goroutines.
package routing
