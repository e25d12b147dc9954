// Package program starts a proxy under test with a configuration filled in from a template, in a folder of its own, and stops it.
//
// Each program is the caller's to stop. A port is found before the program takes it: if another process is faster, the program
// does not start, and Start says so.
package program
