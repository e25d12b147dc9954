package porttest

import (
	"hash/crc32"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// The ports are from a band that nobody else chooses from: the system gives higher ones to whoever wants any, supervisor.FreePorts
// begins at 20000, and the programs in deploy take lower ones. Test programs divide it among them, by their names.
const (
	band  = 15000
	parts = 10
	count = 500  // of each part
	tries = 1000 // for each port
)

// first is where the part of this program begins.
var first = band + count*int(crc32.ChecksumIEEE([]byte(filepath.Base(os.Args[0])))%parts)

// Free returns n different ports on 127.0.0.1 that nobody listens on. Until the test ends they are given to no other test of this process,
// and but on Windows to none of a process beside it.
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

// claim says whether the port is the test's from now on.
func claim(tb testing.TB, port int) bool {
	tb.Helper()
	listener, err := net.Listen("tcp4", at(port)) //nolint:noctx // it does not wait
	if err != nil {
		return false
	}
	_ = listener.Close()
	held, err := sign(at(port))
	if err != nil {
		return false
	}
	tb.Cleanup(func() { _ = held.Close() })
	return true
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
