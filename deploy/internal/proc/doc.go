// Package proc reads from Linux's /proc what a program under test costs: CPU time, memory, disk. A program is a process with
// its children, such as nginx's master with its workers.
//
// Processes that have ended are not counted.
package proc
