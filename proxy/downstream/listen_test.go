package downstream_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"spillway/proxy/downstream"
)

func TestListen_Addresses(t *testing.T) {
	f := func(address, network, want string) {
		t.Helper()
		ln, err := downstream.Listen(address)
		if err != nil {
			t.Error(err)
			return
		}
		defer ln.Close()
		if got := ln.Addr(); got.Network() != network || !strings.HasPrefix(got.String(), want) {
			t.Errorf("listen %s: got %s %s, want %s", address, got.Network(), got, want)
		}
	}
	f("0", "tcp", "0.0.0.0:")
	f("*:0", "tcp", "0.0.0.0:")
	f(":0", "tcp", "0.0.0.0:")
	f("127.0.0.1:0", "tcp", "127.0.0.1:")
	f("localhost:0", "tcp", "127.0.0.1:")
}

func TestListen_Refuses(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		ln, err := downstream.Listen(address)
		if err == nil {
			ln.Close()
			t.Errorf("listen %s: got no error", address)
			return
		}
		if got := err.Error(); !strings.HasPrefix(got, "listen "+address+": ") || !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("got %q, want it to say %q", got, want)
		}
	}
	f("127.0.0.1:99999", "want 0 to 65535")
	f("127.0.0.1:http", "want 0 to 65535")
	f("[::1", `want "[address]:port"`)
	f("unix:", "want a path")
	f("192.0.2.1:0", "this machine does not have the address")

	taken, err := downstream.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f(taken.Addr().String(), "another program")
}

func TestListen_NamesWhoHasThePort(t *testing.T) {
	taken, err := downstream.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	asked := 0
	ln, err := downstream.ListenNaming(taken.Addr().String(), func(port int) string {
		asked = port
		return "httpd (pid 7)"
	})
	if err == nil {
		ln.Close()
		t.Fatal("got no error")
	}
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if !strings.Contains(err.Error(), "; httpd (pid 7) ") || !strings.Contains(err.Error(), "stop it") || strconv.Itoa(asked) != port {
		t.Errorf("got %q, asked for %d, want it to name the program", err, asked)
	}
}
