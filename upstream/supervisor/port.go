package supervisor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// address returns where the process with this port listens.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// checkPort returns an error that names the port when somebody has it.
func checkPort(port int) error {
	ln, err := listen(port)
	if err != nil {
		return fmt.Errorf("port %d is taken: %w", port, err)
	}
	return ln.Close()
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
