package downstream

import (
	"net"
	"testing"
)

// ends is a connection that knows its ends and nothing else.
type ends struct {
	net.Conn

	near, far net.Addr
}

func (e ends) LocalAddr() net.Addr  { return e.near }
func (e ends) RemoteAddr() net.Addr { return e.far }

func TestListener_AddressesAreThoseOfTheClient(t *testing.T) {
	tcp := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	zoned := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 4, Zone: "eth0"}
	l := &Listener{last: addresses{remoteAddr: unixAddr, serverAddr: unixAddr}}
	f := func(near, far net.Addr, want addresses) { // one after the other: what stays is not written anew
		t.Helper()
		if got := l.addressesOf(ends{near: near, far: far}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f(&net.UnixAddr{}, &net.UnixAddr{}, addresses{"unix:", "", "unix:", ""})
	f(tcp("10.0.0.1", 80), tcp("10.0.0.2", 4711), addresses{"10.0.0.2", "4711", "10.0.0.1", "80"})
	f(tcp("10.0.0.1", 80), tcp("10.0.0.2", 4712), addresses{"10.0.0.2", "4712", "10.0.0.1", "80"})
	f(tcp("10.0.0.9", 80), tcp("10.0.0.3", 4712), addresses{"10.0.0.3", "4712", "10.0.0.9", "80"})
	f(tcp("::1", 80), zoned, addresses{"fe80::1", "4", "::1", "80"})
	f(tcp("::1", 81), tcp("::ffff:10.0.0.2", 4), addresses{"10.0.0.2", "4", "::1", "81"})
	f(&net.UnixAddr{}, &net.UnixAddr{}, addresses{"unix:", "", "unix:", ""})
}
