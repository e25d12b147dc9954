//go:build unix

package host_test

// ownersKnown says whether the system tells who owns a socket.
func ownersKnown() bool { return true }
