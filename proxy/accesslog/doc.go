// Package accesslog writes one line per finished exchange, in nginx's combined format, as JSON, or by a template of nginx's
// variables.
//
// What clients send is escaped as in nginx, so that it can neither end a line nor forge a field, and a line has a limit.
// Observe writes each line with one Write, from any goroutine, without a lock and without allocating.
package accesslog
