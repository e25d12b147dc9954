package app

import (
	"strings"
	"testing"
)

func TestBrowsable_IsWhatOneTypes(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		address, secure := strings.CutSuffix(address, " tls")
		if got := browsable(address, secure); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	f("127.0.0.1:8080", "http://127.0.0.1:8080")
	f("192.0.2.1:80", "http://192.0.2.1")
	f("0.0.0.0:80", "http://127.0.0.1, and all other IPv4 addresses of this machine")
	f("0.0.0.0:8080", "http://127.0.0.1:8080, and all other IPv4 addresses of this machine")
	f("[::]:8080", "http://[::1]:8080, and all other IPv6 addresses of this machine")
	f("[::1]:8080", "http://[::1]:8080")
	f("localhost:8080", "http://localhost:8080")
	f("192.0.2.1:443 tls", "https://192.0.2.1")
	f("192.0.2.1:80 tls", "https://192.0.2.1:80")
}

func TestPortList_ShortensARange(t *testing.T) {
	f := func(ports []int, want string) {
		t.Helper()
		if got := portList(ports); got != want {
			t.Errorf("%v: got %s, want %s", ports, got, want)
		}
	}
	f([]int{9001}, "port 9001")
	f([]int{9001, 9002}, "ports 9001, 9002")
	f([]int{9001, 9002, 9003}, "ports 9001-9003")
	f([]int{9001, 9002, 9004}, "ports 9001, 9002, 9004")
	f([]int{9001, 9005, 9003}, "ports 9001, 9005, 9003")
	f([]int{9003, 9001, 9005}, "ports 9003, 9001, 9005")
}
