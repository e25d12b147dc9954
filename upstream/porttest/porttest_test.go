package porttest_test

import (
	"net"
	"slices"
	"testing"

	"spillway/upstream/porttest"
)

func TestFree_GivesAPortToOneTest(t *testing.T) {
	const many = 100
	ports := porttest.Free(t, many)
	ports = append(ports, porttest.Free(t, many)...)
	slices.Sort(ports)
	if different := slices.Compact(slices.Clone(ports)); len(different) != 2*many {
		t.Errorf("got %d different ports, want %d", len(different), 2*many)
	}
}

func TestAddress_CanBeListenedOn(t *testing.T) {
	listener, err := net.Listen("tcp", porttest.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}
