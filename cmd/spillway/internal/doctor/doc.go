// Package doctor looks at this machine for what keeps spillway, or what is behind it, from working well, and says for each
// finding what mends it: a command or a line of the configuration that can be pasted.
//
// It works without a configuration and with one that has problems; what the configuration does not say is not compared. It
// changes nothing: it binds each configured address for a moment, and creates and removes a file in each log folder.
//
// From the machine to the report:
//
//  1. collect asks the machine once (facts.go; what is different on each system in doctor_windows.go and doctor_linux.go).
//  2. each check is a function from facts to findings, so that a test can make up the facts.
//  3. Run sorts the findings, the worst first, writes them as text or JSON and returns the exit status.
//
// Whether the configuration is right in itself is not its question: that is spillway check.
package doctor
