package downstream

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestAdmitNobody: who has connected is accepted and served, who comes later waits, by either version of IP.
func TestAdmitNobody(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			ln, err := Listen(address)
			if err != nil {
				t.Skip(err) // a machine without IPv6
			}
			defer ln.Close()
			before, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer before.Close()
			if !admitNobody(ln.(*net.TCPListener)) {
				t.Skip("the system does not take the filter from this account")
			}
			if _, err := before.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			accepted, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			_ = accepted.SetDeadline(time.Now().Add(20 * time.Second))
			if n, err := accepted.Read(make([]byte, 10)); n != 5 || err != nil {
				t.Errorf("got %d bytes, error %v, want what was sent after the filter came", n, err)
			}
			late, err := net.DialTimeout("tcp", ln.Addr().String(), 200*time.Millisecond)
			if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("got connection %v, error %v, want neither an answer nor a refusal", late, err)
			}
		})
	}
}
