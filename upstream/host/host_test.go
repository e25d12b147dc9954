package host_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spillway/upstream/host"
)

func listen(t *testing.T, network, address string) int {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Skip(err) // a machine without IPv6
	}
	t.Cleanup(func() { ln.Close() })
	return int(netip.MustParseAddrPort(ln.Addr().String()).Port())
}

func TestOwner_IsThisProcess(t *testing.T) {
	if !ownersKnown() {
		listen(t, "tcp4", "127.0.0.1:0")
		if _, err := host.Listeners(os.Getpid()); !errors.Is(err, host.ErrOwnersUnknown) {
			t.Errorf("got %v, want %v", err, host.ErrOwnersUnknown)
		}
		t.Skip("this system does not tell who owns a socket")
	}
	name := filepath.Base(os.Args[0])
	f := func(network, address string) {
		t.Helper()
		port := listen(t, network, address)
		got, err := host.Owner(port)
		if err != nil || got.PID != os.Getpid() {
			t.Fatalf("%s: got %+v, %v, want pid %d", address, got, err, os.Getpid())
		}
		// Linux keeps the first 15 characters of a name.
		if got.Name == "" || !strings.HasPrefix(name, got.Name) {
			t.Errorf("got name %q, want %q", got.Name, name)
		}
		if ports, err := host.Listeners(os.Getpid()); err != nil || !slices.Contains(ports, port) || !slices.IsSorted(ports) {
			t.Errorf("got ports %v, %v, want %d among them", ports, err, port)
		}
	}
	f("tcp4", "127.0.0.1:0")
	f("tcp4", "0.0.0.0:0")
	f("tcp", "[::]:0")
}

// Sockets are seen whether their owner is known or not.
func TestSockets_HasThese(t *testing.T) {
	f := func(network, address string) {
		t.Helper()
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Skip(err) // a machine without IPv6
		}
		defer ln.Close()
		want := netip.MustParseAddrPort(ln.Addr().String())
		sockets, err := host.Sockets()
		if err != nil || !slices.ContainsFunc(sockets, func(s host.Socket) bool { return s.Address == want }) {
			t.Errorf("got %v, %v, want %v among them", sockets, err, want)
		}
	}
	f("tcp4", "127.0.0.1:0")
	f("tcp4", "0.0.0.0:0")
	f("tcp6", "[::1]:0")
}

func TestOwner_OfAFreePort(t *testing.T) {
	var got host.Process
	var err error
	for range 20 { // others take a port as soon as it is free
		ln, listenErr := net.Listen("tcp4", "127.0.0.1:0")
		if listenErr != nil {
			t.Fatal(listenErr)
		}
		port := int(netip.MustParseAddrPort(ln.Addr().String()).Port())
		ln.Close()
		if got, err = host.Owner(port); errors.Is(err, host.ErrFree) {
			return
		}
	}
	t.Errorf("got %+v, %v, want %v", got, err, host.ErrFree)
}

func TestProcesses_HasThisOne(t *testing.T) {
	all, err := host.Processes()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p host.Process) bool { return p.PID == os.Getpid() })
	if i < 0 || all[i].Parent != os.Getppid() || all[i].Orphan != (os.Getppid() == 1) {
		t.Errorf("got %+v, want pid %d with parent %d", all, os.Getpid(), os.Getppid())
	}
}

func TestLives(t *testing.T) {
	if !host.Lives(os.Getpid()) {
		t.Error("got that this process does not live")
	}
	if host.Lives(1<<30 + 4) {
		t.Error("got that a process lives which nobody has")
	}
}

func TestMemory_OfThisProcess(t *testing.T) {
	one, err := host.Memory(os.Getpid())
	if err != nil || one < 1<<20 {
		t.Errorf("got %d bytes, %v", one, err)
	}
	two, err := host.Memory(os.Getpid(), os.Getpid())
	if err != nil || two < one*3/2 {
		t.Errorf("got %d bytes, %v, want about twice %d", two, err, one)
	}
	const nobody = 1 << 30
	if some, err := host.Memory(nobody, os.Getpid()); err != nil || some < 1<<20 {
		t.Errorf("got %d bytes, %v, want those of the process that is there", some, err)
	}
	if _, err := host.Memory(nobody); err == nil {
		t.Error("got the memory of nobody")
	}
}

func TestVolumeOf(t *testing.T) {
	v, err := host.VolumeOf(t.TempDir())
	if err != nil || v.Kind == "" || v.Free < 1<<20 || v.Total < v.Free {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := host.VolumeOf(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

func TestProcess_Text(t *testing.T) {
	f := func(p host.Process, want string) {
		t.Helper()
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(host.Process{PID: 4, Name: "System"}, "System (pid 4)")
	f(host.Process{PID: 4}, "pid 4")
	f(host.Process{}, "a process that this account may not see")
	if p := (host.Process{Name: "Nginx.EXE"}); !p.Is("nginx") || p.Is("nginx2") {
		t.Error("a name is compared without its case and .exe")
	}
	if p := (host.Process{Name: "spillway-0.1.0-"}); !p.Is("spillway-0.1.0-linux-amd64") || p.Is("spillway") {
		t.Error("a long name is compared as far as Linux keeps it")
	}
}
