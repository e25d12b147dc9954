// Package httpfield has the rules for header fields that hold towards clients and peers alike: which of them belong to one
// connection, what a Connection field names, and what a name and a value may be (RFC 9110, sections 5 and 7.6.1).
//
// It knows bytes only: neither messages nor exchanges. What a side hides or adds is that side's own matter.
package httpfield
