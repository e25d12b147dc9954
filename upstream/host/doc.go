// Package host tells facts about this machine: who listens on a port, what a process weighs, which ports the system hands
// out by itself, what a folder lies on.
//
// It only looks. Everything may be different a moment later, and some of it needs rights that spillway may not have: an
// answer is for a message to a human and for a limit that is checked again, never for a decision that cannot be taken
// back. What this system cannot tell is errors.ErrUnsupported.
//
// All functions may be called by anyone at any time. On Linux they read /proc, on Windows they ask the system and, for the
// ranges of ports, run netsh; each takes milliseconds, netsh up to a second, so none belongs on the path of a request.
package host
