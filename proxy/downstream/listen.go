package downstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Listen opens a listener by the address of an nginx listen directive: "8080" and "*:8080" are all IPv4 addresses,
// "127.0.0.1:8080" one, "127.0.0.1" port 80, "[::]:8080" all IPv6 addresses, "unix:/path" a socket file. The error is one
// line that says what to do.
func Listen(address string) (net.Listener, error) { return ListenNaming(address, nil) }

// ListenNaming is Listen with an error that names who has the port: owner returns the program that listens on it, such as
// "nginx.exe (pid 4711)", or "" when there is none or it is not to be found out.
func ListenNaming(address string, owner func(port int) string) (net.Listener, error) {
	network, addr, err := parseAddress(address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	config := net.ListenConfig{Control: exclusive, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4,
	}}
	config.SetMultipathTCP(false) // Go's default for listeners; it costs, and local clients have one path
	ln, err := config.Listen(context.Background(), network, addr)
	if err != nil && network == "unix" && isLeftOver(addr) && os.Remove(addr) == nil {
		ln, err = config.Listen(context.Background(), network, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, explain(err, spotOf(network, addr, owner)))
	}
	return ln, nil
}

// parseAddress returns what net.Listen wants. IPv4 and IPv6 are apart, as in nginx, where "listen 80; listen [::]:80" is
// two sockets.
func parseAddress(address string) (network, addr string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", "", errors.New(`want a path after "unix:"`)
		}
		return "unix", path, nil
	}
	host, port := address, "80"
	switch {
	case strings.HasPrefix(address, "["):
		end := strings.IndexByte(address, ']')
		if end < 0 {
			return "", "", errors.New(`want "[address]:port"`)
		}
		if host = address[:end+1]; len(address) > end+1 {
			port = strings.TrimPrefix(address[end+1:], ":")
		}
	case isNumber(address):
		host, port = "*", address
	case strings.Contains(address, ":"):
		host, port, _ = strings.Cut(address, ":")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("port %q: want 0 to 65535", port)
	}
	switch {
	case host == "*" || host == "":
		return "tcp4", "0.0.0.0:" + port, nil
	case strings.HasPrefix(host, "["):
		return "tcp6", host + ":" + port, nil
	default:
		return "tcp4", host + ":" + port, nil
	}
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// isLeftOver says whether the socket file at path is there and nobody listens on it: its process ended without removing it.
func isLeftOver(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
	}
	return err != nil
}

// spot is where a listen failed.
type spot struct {
	port  int // 0: none, it is a unix socket
	asked bool
	owner string // who has the port, if that is known
}

func spotOf(network, addr string, owner func(port int) string) spot {
	if network == "unix" {
		return spot{}
	}
	_, digits, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(digits) // parseAddress has checked it
	p := spot{port: port}
	if owner != nil && port > 0 {
		p.asked, p.owner = true, owner(port)
	}
	return p
}

// explain makes one line for the operator of what the system said.
func explain(err error, at spot) error {
	for _, known := range listenErrors {
		if errors.Is(err, known.err) {
			return fmt.Errorf("%w; %s", known.err, known.advice(at))
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// listenError is what to say about an error of the system.
type listenError struct {
	err    error
	advice func(at spot) string
}

// noAddress is the advice for an address that no interface has.
func noAddress(spot) string {
	return "this machine does not have the address; choose one that it has, or * for all"
}
