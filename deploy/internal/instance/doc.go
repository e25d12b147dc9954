// Package instance is spillway under test: it is started, commanded and asked by the means that an operator has, which are its
// command line, its logs, and the admin listener.
package instance
