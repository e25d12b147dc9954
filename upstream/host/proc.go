package host

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// The texts of Linux's /proc. Their parsers are here, apart from the files, so that every system's tests can try them.

// tcpListen is TCP_LISTEN of the kernel.
const tcpListen = "0A"

// listening is one line of /proc/net/tcp.
type listening struct {
	address netip.AddrPort
	inode   string
}

// parseTCP reads /proc/net/tcp or tcp6 and returns the sockets that listen. Lines that are not understood are left out.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 ...
func parseTCP(text []byte) []listening {
	var found []listening
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 10 || fields[3] != tcpListen {
			continue
		}
		if address, ok := parseHexAddress(fields[1]); ok {
			found = append(found, listening{address, fields[9]})
		}
	}
	return found
}

// parseHexAddress reads 0100007F:1F90: the address is printed as words of 32 bits of the machine, the port as a number.
func parseHexAddress(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	ip, err := hex.DecodeString(address)
	if err != nil || len(ip) != 4 && len(ip) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(ip); i += 4 {
		binary.NativeEndian.PutUint32(ip[i:], binary.BigEndian.Uint32(ip[i:]))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr, uint16(number)), true
}

// parseStat reads /proc/PID/stat: "pid (name) state ppid pgrp ...", where the name may hold anything.
func parseStat(text []byte) (Process, bool) {
	open, last := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || last < open {
		return Process{}, false
	}
	fields := strings.Fields(string(text[last+1:]))
	if len(fields) < 3 {
		return Process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	parent, err2 := strconv.Atoi(fields[1])
	group, err3 := strconv.Atoi(fields[2])
	if errors.Join(err, err2, err3) != nil {
		return Process{}, false
	}
	return Process{PID: pid, Name: string(text[open+1 : last]), Parent: parent, Orphan: parent == 1, Group: group}, true
}

// exiting is PF_EXITING of the kernel: a process has it before the first of its connections is closed.
const exiting = 4

// parseLives says by /proc/PID/stat whether the process is neither dead nor about to be: "pid (name) state ppid pgrp session tty
// tpgid flags ...".
func parseLives(text []byte) bool {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 7 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&exiting == 0
}

// parseStatm reads the resident pages, the second number of /proc/PID/statm.
func parseStatm(text []byte) (pages int64, ok bool) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages, err == nil && pages >= 0
}

// parsePortRange reads ip_local_port_range: "32768	60999".
func parsePortRange(text []byte) (Range, bool) {
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return Range{}, false
	}
	r := Range{parsePort(fields[0]), parsePort(fields[1])}
	return r, r.First > 0 && r.First <= r.Last
}

// parseReserved reads ip_local_reserved_ports: "8080,9001-9008". What is not understood is left out.
func parseReserved(text []byte) []Exclusion {
	var found []Exclusion
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		r := Range{parsePort(first), parsePort(last)}
		if r.First > 0 && r.First <= r.Last {
			found = append(found, Exclusion{Range: r, Reserved: true})
		}
	}
	return found
}
