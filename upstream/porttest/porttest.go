package porttest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports are from a band that nobody else chooses from: the system gives higher ones to whoever wants any, supervisor.FreePorts
// begins at 20000, and the programs in deploy take lower ones.
const (
	first = 15000
	count = 5000
	tries = 1000 // for each port
)

// Free returns n different ports on 127.0.0.1 that nobody listens on. Until the test ends they are given to no other test, of this process
// or of one beside it.
func Free(tb testing.TB, n int) []int {
	tb.Helper()
	var ports []int
	for range n * tries {
		if len(ports) == n {
			break
		}
		if port := first + rand.IntN(count); claim(tb, port) {
			ports = append(ports, port)
		}
	}
	if len(ports) < n {
		tb.Fatalf("%d ports from %d to %d are free, want %d", len(ports), first, first+count-1, n)
	}
	return ports
}

// Address is Free for one port, as host:port.
func Address(tb testing.TB) string {
	tb.Helper()
	return at(Free(tb, 1)[0])
}

// claim says whether the port is the test's from now on. Others see it by the port of the same number that UDP has, and nobody uses.
func claim(tb testing.TB, port int) bool {
	tb.Helper()
	held, err := net.ListenPacket("udp4", at(port)) //nolint:noctx // it does not wait
	if err != nil {
		return false
	}
	listener, err := net.Listen("tcp4", at(port)) //nolint:noctx // it does not wait
	if err != nil {
		_ = held.Close()
		return false
	}
	_ = listener.Close()
	tb.Cleanup(func() { _ = held.Close() })
	return true
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
