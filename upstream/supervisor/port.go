package supervisor

import (
	"context"
	"errors"
	"fmt"
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

// FreePorts returns n different ports on 127.0.0.1 that nobody listens on. They stay free only as long as nobody else takes
// them: the system chooses from the range that outgoing connections use as well.
func FreePorts(n int) ([]int, error) {
	held := make([]net.Listener, 0, n) // until the last is found, or the system could name one twice
	defer func() {
		for _, ln := range held {
			_ = ln.Close() // nothing was accepted, nothing can be lost
		}
	}()
	ports := make([]int, 0, n)
	for range n {
		ln, err := listen(0)
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		held = append(held, ln)
		ports = append(ports, int(netip.MustParseAddrPort(ln.Addr().String()).Port()))
	}
	return ports, nil
}

// listen takes the port on 127.0.0.1. It waits for nothing, hence the context without end.
func listen(port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp4", address(port))
}
