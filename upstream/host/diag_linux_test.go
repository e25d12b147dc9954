package host

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSockets_KernelAndFilesAgree(t *testing.T) {
	f := func(at string) {
		t.Helper()
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Logf("%s: %v", at, err) // a machine without IPv6
			return
		}
		defer ln.Close()
		address := netip.MustParseAddrPort(ln.Addr().String())
		family := byte(unix.AF_INET)
		if address.Addr().Is6() {
			family = unix.AF_INET6
		}
		asked, err := diagListening(family)
		if err != nil {
			t.Skip("the kernel may not be asked:", err)
		}
		read, err := readListening()
		if err != nil {
			t.Fatal(err)
		}
		here := func(l listening) bool { return l.address.Port() == address.Port() }
		i, j := slices.IndexFunc(asked, here), slices.IndexFunc(read, here)
		if i < 0 || j < 0 || asked[i] != read[j] {
			t.Fatalf("%s: got %v from the kernel, %v from its files", address, asked, read)
		}
	}
	f("127.0.0.1:0")
	f("0.0.0.0:0")
	f("[::1]:0")
}

func FuzzDiag(f *testing.F) {
	f.Add(diagRequest(unix.AF_INET))
	answer := make([]byte, unix.SizeofNlMsghdr+answerSize)
	answer[0], answer[4], answer[16] = byte(len(answer)), diagByFamily, unix.AF_INET6
	f.Add(answer)
	f.Fuzz(func(_ *testing.T, datagram []byte) {
		_, _, _ = parseDiag(datagram)
	})
}
