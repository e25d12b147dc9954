package host

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// netshWait bounds a call of netsh: it takes a tenth of a second, more when the machine is just starting.
const netshWait = 10 * time.Second

func ephemeral() (Range, error) {
	out, err := netsh("interface", "ipv4", "show", "dynamicport", "tcp")
	if err != nil {
		return Range{}, err
	}
	return parseDynamicPort(out)
}

func exclusions() ([]Exclusion, error) {
	out, err := netsh("interface", "ipv4", "show", "excludedportrange", "protocol=tcp")
	if err != nil {
		return nil, err
	}
	return parseExcludedPorts(out)
}

// netsh returns what the system's netsh writes, never that of the current folder.
func netsh(args ...string) ([]byte, error) {
	folder, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), netshWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(folder, "netsh.exe"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("netsh: %w", err)
	}
	return out, nil
}

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// tableOwnerPIDListener is TCP_TABLE_OWNER_PID_LISTENER of iprtrmib.h.
const tableOwnerPIDListener = 3

// tcpRow is MIB_TCPROW_OWNER_PID of tcpmib.h. Addresses and ports are in the order of the network.
type tcpRow struct {
	_         uint32 // state
	localAddr [4]byte
	localPort [4]byte   // the first two
	_         [2]uint32 // remote address and port
	pid       uint32
}

// tcp6Row is MIB_TCP6ROW_OWNER_PID of tcpmib.h.
type tcp6Row struct {
	localAddr [16]byte
	_         uint32    // local scope
	localPort [4]byte   // the first two
	_         [7]uint32 // remote address, scope and port; state
	pid       uint32
}

func allSockets() ([]Socket, error) {
	var sockets []Socket
	table, err := tcpTable(windows.AF_INET)
	if err != nil {
		return nil, err
	}
	for _, row := range rows[tcpRow](table) {
		sockets = append(sockets, Socket{netip.AddrPortFrom(netip.AddrFrom4(row.localAddr), port(row.localPort)), int(row.pid)})
	}
	if table, err = tcpTable(windows.AF_INET6); err != nil {
		return sockets, nil //nolint:nilerr // IPv6 may be switched off
	}
	for _, row := range rows[tcp6Row](table) {
		sockets = append(sockets, Socket{netip.AddrPortFrom(netip.AddrFrom16(row.localAddr), port(row.localPort)), int(row.pid)})
	}
	return sockets, nil
}

func port(field [4]byte) uint16 { return uint16(field[0])<<8 | uint16(field[1]) }

// tcpTable returns the table of one family's listening sockets: their number, then the rows.
func tcpTable(family uint32) ([]uint32, error) {
	table := make([]uint32, 4096) // for aligned rows
	for {
		size := uint32(4 * len(table))
		result, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&table[0])), uintptr(unsafe.Pointer(&size)),
			0, uintptr(family), tableOwnerPIDListener, 0)
		switch err := windows.Errno(result); err {
		case 0:
			return table, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			table = make([]uint32, size/4+1024) // others listen meanwhile
		default:
			return nil, err
		}
	}
}

// rows returns the rows of a table, which are all of one size.
func rows[Row tcpRow | tcp6Row](table []uint32) []Row {
	var row Row
	count := min(int(table[0]), 4*(len(table)-1)/int(unsafe.Sizeof(row)))
	return unsafe.Slice((*Row)(unsafe.Pointer(&table[1])), count)
}
