//go:build !linux

package relay_test

import "testing"

// resetWords are those of a connection that was reset: here any, because Wine shows some as the end of the stream.
const resetWords = ""

// openDescriptors is 0: this system does not tell.
func openDescriptors() int { return 0 }

func unreachable(t *testing.T) string {
	t.Helper()
	t.Skip("only Linux is known to drop who asks for a listener whose queue is full")
	return ""
}
