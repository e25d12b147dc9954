package supervisor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"

	"spillway/upstream/host"
)

// address returns where the process with this port listens.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// takenError says that somebody has a port that a process needs, or that the system keeps it.
type takenError struct {
	port  int
	owner string // "nginx (pid 4711)"; empty: not known
	err   error
}

func (e *takenError) Error() string {
	if e.owner == "" {
		return fmt.Sprintf("port %d is taken; find out by whom and end it, or choose another port: %v", e.port, e.err)
	}
	return fmt.Sprintf("port %d is taken by %s; end it or choose another port: %v", e.port, e.owner, e.err)
}

func (e *takenError) Unwrap() error { return e.err }

func isTaken(err error) bool {
	_, taken := errors.AsType[*takenError](err)
	return taken
}

// checkPort returns a takenError when a process could not listen on the port.
func checkPort(port int) error {
	ln, err := listen(port)
	if err == nil {
		return ln.Close()
	}
	taken := &takenError{port: port, err: err}
	if owner, err := host.Owner(port); err == nil {
		taken.owner = owner.String()
	}
	return taken
}

// The band of FreePorts begins here, above the ports of well-known programs, and ends where those of outgoing connections
// begin: 32768 on Linux, 49152 on Windows; where that is not known, the smaller one.
const (
	firstFree     = 20000
	firstOutgoing = 32768
)

// FreePorts returns n different ports on 127.0.0.1 that nobody listens on: neighbours, where that is possible, and none of
// those that the system gives to outgoing connections, of which a busy server has so many that a port which is free now is
// one of them when a process wants it. They stay free only as long as nobody else takes them.
func FreePorts(n int) ([]int, error) {
	held := make([]net.Listener, 0, n) // until the last is found, or one could be named twice
	defer func() {
		for _, ln := range held {
			_ = ln.Close() // nothing was accepted, nothing can be lost
		}
	}()
	ports := make([]int, 0, n)
	for candidate := range candidates(n) {
		if len(ports) == n {
			break
		}
		ln, err := listen(candidate)
		if err != nil && candidate == 0 {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		if err == nil {
			held = append(held, ln)
			ports = append(ports, int(netip.MustParseAddrPort(ln.Addr().String()).Port()))
		}
	}
	return ports, nil
}

// candidates are the ports of the band, from anywhere on, so that several programs that look at the same time do not get in
// each other's way; then n times 0, with which the system chooses.
func candidates(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		end := firstOutgoing
		if outgoing, err := host.Ephemeral(); err == nil {
			end = outgoing.First
		}
		if end > firstFree+n {
			size := end - firstFree
			start := rand.IntN(size)
			for i := range size {
				if !yield(firstFree + (start+i)%size) {
					return
				}
			}
		}
		for range n {
			if !yield(0) {
				return
			}
		}
	}
}

// listen takes the port on 127.0.0.1. It waits for nothing, hence the context without end.
func listen(port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp4", address(port))
}
