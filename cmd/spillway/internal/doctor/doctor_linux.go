package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"spillway/upstream/host"
)

// system are the facts that only Linux has. A zero is not known.
type system struct {
	somaxconn int    // longest queue of connections that wait to be accepted
	files     uint64 // files and sockets that spillway may have open
	timeWait  int    // connections in TIME_WAIT
	reuse     int    // tcp_tw_reuse: 0 off, 1 on, 2 for loopback; -1 not known

	unit func(pid int) string // the systemd service of a process; "" for none
}

func collectSystem(f *facts) system {
	s := system{unit: unitOf}
	s.somaxconn = ask(f, func() (int, error) { return sysctl("net/core/somaxconn") })
	s.files = ask(f, host.FileLimit)
	s.timeWait = ask(f, timeWait)
	s.reuse = -1
	if n, err := sysctl("net/ipv4/tcp_tw_reuse"); err == nil { // a container may not have it
		s.reuse = n
	}
	return s
}

func sysctl(name string) (int, error) {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// timeWait reads /proc/net/sockstat: "TCP: inuse 5 orphan 0 tw 3 alloc 8 mem 1".
func timeWait() (int, error) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		for i := 1; i+1 < len(fields) && fields[0] == "TCP:"; i += 2 {
			if fields[i] == "tw" {
				return strconv.Atoi(fields[i+1])
			}
		}
	}
	return 0, errors.New("/proc/net/sockstat does not say it")
}

// unitOf asks for the control group of a process: 0::/system.slice/nginx.service.
func unitOf(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	name := path.Base(string(bytes.TrimSpace(text)))
	if !strings.HasSuffix(name, ".service") || strings.HasPrefix(name, "user@") {
		return ""
	}
	return name
}

const (
	// usualQueue is nginx's listen queue and that of most servers behind it; older kernels cut it to 128.
	usualQueue = 511
	// fewFiles is the usual limit of a service; an exchange takes two sockets and, when it spills, a file.
	fewFiles = 4096
)

func checkSystem(f *facts) (findings []Finding) {
	s := &f.system
	if s.somaxconn > 0 {
		finding := Finding{Topic: "somaxconn", Text: fmt.Sprintf("%d connections may wait to be accepted", s.somaxconn)}
		if s.somaxconn < usualQueue {
			finding.Severity = Warning
			finding.Text = fmt.Sprintf("only %d connections may wait to be accepted: a burst is refused, or tried again after a second", s.somaxconn)
			finding.Fix = sysctlFix("net.core.somaxconn", "4096")
		}
		findings = append(findings, finding)
	}
	if s.files > 0 {
		finding := Finding{Topic: "open files", Text: fmt.Sprintf("%d files and sockets may be open", s.files)}
		if s.files < fewFiles {
			finding.Severity = Warning
			finding.Text = fmt.Sprintf("only %d files and sockets may be open: an exchange takes two, and one more when it spills", s.files)
			finding.Fix = "LimitNOFILE=65536 in the [Service] section of the unit, or ulimit -n 65536 in the shell"
		}
		findings = append(findings, finding)
	}
	return append(findings, checkTimeWait(f)...)
}

// checkTimeWait judges whether outgoing connections may run out of ports: one that was closed holds its port for a minute.
func checkTimeWait(f *facts) []Finding {
	s, ports := &f.system, f.ephemeral.Size()
	if f.ephemeral.First == 0 {
		return nil
	}
	finding := Finding{Topic: "time wait", Text: fmt.Sprintf("%d closed connections hold a port, of %d", s.timeWait, ports)}
	switch {
	case s.timeWait > ports/2:
		finding.Severity = Warning
		finding.Text += ": something here opens a connection for each request"
		finding.Fix = "keepalive: 32"
		if s.reuse == 0 {
			finding.Fix = sysctlFix("net.ipv4.tcp_tw_reuse", "1")
		}
	case s.reuse == 0:
		finding.Severity = Note
		finding.Text += "; none may be used again within a minute (tcp_tw_reuse is 0)"
		finding.Fix = sysctlFix("net.ipv4.tcp_tw_reuse", "2")
	}
	return []Finding{finding}
}

// sysctlFix sets a value now and for the next start.
func sysctlFix(key, value string) string {
	return fmt.Sprintf("echo '%s = %s' | sudo tee -a /etc/sysctl.d/90-spillway.conf && sudo sysctl --system", key, value)
}

// describe names a process in a sentence.
func describe(p host.Process) string { return p.String() }

// endFix ends a process, by its service when it belongs to one: that would start it again.
func (f *facts) endFix(p host.Process) string {
	if p.PID == 0 {
		return strings.TrimSuffix("sudo spillway doctor -c "+f.config.File, " -c ") // to see who it is
	}
	if f.system.unit != nil {
		if unit := f.system.unit(p.PID); unit != "" {
			return "sudo systemctl disable --now " + unit
		}
	}
	return "kill " + strconv.Itoa(p.PID)
}

// bindFix mends an address that cannot be bound, though nobody has it.
func bindFix(err error, port int) string {
	if !errors.Is(err, syscall.EACCES) {
		return "ip address show"
	}
	exe, exeErr := os.Executable()
	if exeErr != nil {
		return sysctlFix("net.ipv4.ip_unprivileged_port_start", strconv.Itoa(port))
	}
	return "sudo setcap cap_net_bind_service=+ep '" + exe + "'"
}

// excludedFix is not needed: Linux excludes no ports that a program asks for.
func excludedFix([]int) string { return "" }

// reserveFix keeps outgoing connections away from ports, and from those that are reserved already.
func (f *facts) reserveFix(ports []int) string {
	for _, e := range f.exclusions {
		for port := e.First; port <= e.Last; port++ {
			ports = append(ports, port)
		}
	}
	return sysctlFix("net.ipv4.ip_local_reserved_ports", strings.ReplaceAll(join(ports), " ", ""))
}

// writeFix gives the account that runs this the right to write to a folder; others keep theirs.
func writeFix(account string, f folder) string {
	if !f.there {
		return "sudo install -d -o " + account + " '" + f.path + "'"
	}
	return "sudo setfacl -R -m u:" + account + ":rwX '" + f.path + "'"
}

// What a fix proposes.
const (
	tempExample = "/var/tmp/spillway"
	logExample  = "/var/log/spillway/error.log"
)
