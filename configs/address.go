package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var (
	errListen = errors.New(`want a port or an address and a port, such as "8080", "127.0.0.1:8080", "[::1]:80" or "*:80"`)
	errPort   = errors.New("a port is 1 to 65535")
)

// ParseListen reads an address as nginx's listen has it and returns it for net.Listen; without an address it is that of
// all IPv4 interfaces, without a port it is port 80.
func ParseListen(s string) (string, error) {
	if strings.HasPrefix(s, "unix:") {
		return "", errors.New("a unix socket cannot be listened on yet; " + errListen.Error())
	}
	if _, err := parseDigits(s); err == nil {
		s = "*:" + s
	} else if strings.HasSuffix(s, "]") || !strings.Contains(s, ":") {
		s += ":80"
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || !validHost(host) {
		return "", errListen
	}
	if host == "*" {
		host = "0.0.0.0"
	}
	n, err := parsePort(port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// Network returns the network under which net.Listen takes an address of ParseListen as nginx does: one for IPv4 does
// not serve IPv6, nor the other way round.
func Network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		return "tcp"
	case ip.Is4():
		return "tcp4"
	}
	return "tcp6"
}

func validHost(host string) bool {
	if host == "*" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if strings.Trim(host, "0123456789.") == "" {
		return false // an IPv4 address with a mistake
	}
	for _, r := range host {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '-' && r != '.' && r != '_' {
			return false
		}
	}
	return host != ""
}

func parsePort(s string) (int, error) {
	n, err := parseDigits(s)
	if err != nil || n < 1 || n > 65535 {
		return 0, fmt.Errorf("wrong port %s; %w", quote(s), errPort)
	}
	return int(n), nil
}

// parsePeer reads the address of a peer and returns it for net.Dial. The port may be missing when there is a default, as in nginx.
// A relative path of a socket begins in dir.
func parsePeer(s, defaultPort, dir string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", "", errors.New(`want a path after "unix:"`)
		}
		return "unix", absolute(dir, path), nil
	}
	scheme, rest, _ := strings.Cut(s, "://")
	if rest, _, _ = strings.Cut(rest, "/"); rest != "" {
		return "", "", fmt.Errorf("write the address without %s://, that is %s", printable(scheme), quote(rest))
	}
	if strings.HasSuffix(s, "]") || !strings.Contains(s, ":") {
		if defaultPort == "" {
			return "", "", fmt.Errorf("no port in %s", quote(s))
		}
		s += ":" + defaultPort
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "*" || !validHost(host) {
		return "", "", fmt.Errorf("wrong address %s; want an address and a port, such as 127.0.0.1:9001, or unix:/path", quote(s))
	}
	if _, err := parsePort(port); err != nil {
		return "", "", err
	}
	return "tcp", s, nil
}

// parsePorts reads one port or a range such as 9001-9008.
func parsePorts(s string) ([]int, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err := parsePort(strings.TrimSpace(first))
	if err != nil {
		return nil, err
	}
	to, err := parsePort(strings.TrimSpace(last))
	if err != nil {
		return nil, err
	}
	if to < from {
		return nil, fmt.Errorf("the range %s is empty; write %d-%d", quote(s), to, from)
	}
	ports := make([]int, 0, to-from+1)
	for port := from; port <= to; port++ {
		ports = append(ports, port)
	}
	return ports, nil
}

// absolute returns path, which begins in dir when it is relative.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if path != "" && os.IsPathSeparator(path[0]) {
		return filepath.Clean(filepath.VolumeName(dir) + path) // \site on Windows is on the drive of the configuration
	}
	return filepath.Join(dir, path)
}
