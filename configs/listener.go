package configs

import (
	"net"
	"net/netip"
)

// Listener is one socket that spillway accepts on.
type Listener struct {
	Network string    // for net.Listen: tcp4, tcp6 or tcp
	Address string    // for net.Listen
	TLS     bool      // its clients speak TLS
	Servers []*Server // those that listen here, in the order of the file
	Default *Server   // answers for host names that none of Servers has: the default_server, else the first

	place Place // the first listen with this address
}

// Listeners returns every address on which a server listens, once, in the order of the file.
func (c *Config) Listeners() []*Listener {
	var listeners []*Listener
	known := map[string]*Listener{}
	for _, s := range c.Servers {
		for _, at := range s.Listen {
			l := known[at.Address]
			if l == nil {
				l = &Listener{
					Network: Network(at.Address), Address: at.Address, TLS: at.TLS, Default: s, place: s.Places.At("listen"),
				}
				known[at.Address] = l
				listeners = append(listeners, l)
			}
			if n := len(l.Servers); n == 0 || l.Servers[n-1] != s { // an address written twice is a problem of Check
				l.Servers = append(l.Servers, s)
			}
			if s.DefaultServer && !l.Default.DefaultServer {
				l.Default = s
			}
		}
	}
	return listeners
}

// collide reports whether two different addresses cannot be listened on at once: they have the same port, and one is
// all interfaces of the family of the other.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	if hostA == hostB {
		return true
	}
	ipA, ipB := resolved(hostA), resolved(hostB)
	if ipA.Is4() != ipB.Is4() {
		return false
	}
	return ipA == ipB || ipA.IsUnspecified() || ipB.IsUnspecified()
}

// local reports whether an address takes a port away from processes on 127.0.0.1.
func local(address string) (port string, is bool) {
	host, port, err := net.SplitHostPort(address)
	ip := resolved(host)
	return port, err == nil && ip.Is4() && (ip.IsUnspecified() || ip.IsLoopback())
}

// resolved returns the address of a host; localhost is that of IPv4, and any other name none.
func resolved(host string) netip.Addr {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip
}
