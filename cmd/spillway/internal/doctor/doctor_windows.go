package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"spillway/upstream/host"
)

// system are the facts that only Windows has.
type system struct {
	timedWait   setting // TcpTimedWaitDelay
	maxUserPort setting
	web         bool // IIS is running
}

// setting is a number of the registry.
type setting struct {
	value uint64
	set   bool
}

const tcpParameters = `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`

func collectSystem(f *facts) system {
	read := func(name string) setting {
		return ask(f, func() (setting, error) { return readSetting(name) })
	}
	return system{timedWait: read("TcpTimedWaitDelay"), maxUserPort: read("MaxUserPort"), web: isRunning("W3SVC")}
}

func readSetting(name string) (setting, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, tcpParameters, registry.QUERY_VALUE)
	if errors.Is(err, fs.ErrNotExist) {
		return setting{}, nil
	}
	if err != nil {
		return setting{}, fmt.Errorf("%s in the registry: %w", name, err)
	}
	defer func() { _ = key.Close() }() // nothing was written
	value, _, err := key.GetIntegerValue(name)
	if errors.Is(err, fs.ErrNotExist) {
		return setting{}, nil
	}
	if err != nil {
		return setting{}, fmt.Errorf("%s in the registry: %w", name, err)
	}
	return setting{value, true}, nil
}

// isRunning says whether a service is; false when that cannot be asked.
func isRunning(service string) bool {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return false
	}
	defer func() { _ = windows.CloseServiceHandle(manager) }() // nothing was written
	name, err := windows.UTF16PtrFromString(service)
	if err != nil {
		return false
	}
	handle, err := windows.OpenService(manager, name, windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return false
	}
	defer func() { _ = windows.CloseServiceHandle(handle) }() // as above
	var status windows.SERVICE_STATUS
	return windows.QueryServiceStatus(handle, &status) == nil && status.CurrentState == windows.SERVICE_RUNNING
}

func checkSystem(f *facts) []Finding {
	return slices.Concat(checkTimedWait(f), checkDynamicRange(f), checkShared(f), checkOrphans(f))
}

// wantTimedWait is the least that Windows takes, in seconds, and what is set on busy hosts.
const wantTimedWait = 30

func checkTimedWait(f *facts) []Finding {
	const topic = "TcpTimedWaitDelay"
	if s := f.system.timedWait; s.set && s.value <= 60 {
		return []Finding{{Topic: topic, Text: fmt.Sprintf("a closed connection holds its port for %d s", s.value)}}
	}
	text := "not set: a closed connection holds its port for two minutes or more"
	if s := f.system.timedWait; s.set {
		text = fmt.Sprintf("a closed connection holds its port for %d s", s.value)
	}
	return []Finding{{
		Severity: Note, Topic: topic, Text: text + ", which matters when backends are not kept alive; needs a restart of Windows",
		Fix: fmt.Sprintf(`reg add HKLM\%s /v TcpTimedWaitDelay /t REG_DWORD /d %d /f`, tcpParameters, wantTimedWait),
	}}
}

const (
	defaultPorts = 16384 // of Windows: 49152-65535
	fewPorts     = 5000  // what a Windows before Vista had
)

// checkDynamicRange judges how many outgoing connections there may be at once, those that were closed lately included.
func checkDynamicRange(f *facts) (findings []Finding) {
	if r := f.ephemeral; r.First > 0 {
		finding := Finding{Topic: "dynamic ports", Text: fmt.Sprintf("outgoing connections have %d ports (%s)", r.Size(), r)}
		if r.Size() <= defaultPorts {
			finding.Severity = Note
			if r.Size() <= fewPorts {
				finding.Severity = Warning
			}
			finding.Fix = "netsh interface ipv4 set dynamicport tcp start=10000 num=55535"
		}
		findings = append(findings, finding)
	}
	if s := f.system.maxUserPort; s.set {
		findings = append(findings, Finding{
			Severity: Note, Topic: "MaxUserPort",
			Text: fmt.Sprintf("%d is a setting for Windows before Vista: since then the range is set with netsh, see dynamic ports", s.value),
			Fix:  fmt.Sprintf(`reg delete HKLM\%s /v MaxUserPort /f`, tcpParameters),
		})
	}
	return findings
}

// checkShared finds addresses on which several programs listen: Windows allows it to those that ask for it, such as a second
// nginx, and gives a connection to either.
func checkShared(f *facts) (findings []Finding) {
	for i := 0; i < len(f.sockets); {
		first := f.sockets[i]
		var owners []string
		for ; i < len(f.sockets) && f.sockets[i].Address == first.Address; i++ {
			owners = append(owners, f.process(f.sockets[i].PID).String())
		}
		slices.Sort(owners)
		if owners = slices.Compact(owners); len(owners) > 1 {
			findings = append(findings, Finding{
				Severity: Warning, Topic: "port " + strconv.Itoa(int(first.Address.Port())),
				Text: fmt.Sprintf("several listen on %s, and chance says who gets a connection: %s", first.Address, strings.Join(owners, ", ")),
				Fix:  f.endFix(f.process(first.PID)),
			})
		}
	}
	return findings
}

// checkOrphans finds what a killed nginx or its start script has left. An nginx without its parent is a master whose console
// was closed when it has children, and a worker whose master was killed when it has none.
func checkOrphans(f *facts) (findings []Finding) {
	masters := map[int]bool{}
	for _, p := range f.processes {
		masters[p.Parent] = true
	}
	for _, p := range f.processes {
		if !p.Orphan || f.ours(p) || !p.Is("php-cgi") && (!p.Is("nginx") || masters[p.PID]) {
			continue
		}
		finding := Finding{Severity: Warning, Topic: "orphan", Text: p.String() + " runs on, though who started it is gone", Fix: f.endFix(p)}
		if ports := f.portsOf(p.PID); len(ports) > 0 {
			finding.Text += "; it listens on port " + join(ports)
		}
		findings = append(findings, finding)
	}
	return findings
}

func (f *facts) portsOf(pid int) (ports []int) {
	for _, s := range f.sockets {
		if s.PID == pid {
			ports = append(ports, int(s.Address.Port()))
		}
	}
	return ports
}

// systemPID is the kernel, whose sockets are those of http.sys.
const systemPID = 4

// describe names a process in a sentence.
func describe(p host.Process) string {
	if p.PID == systemPID {
		return p.String() + ", that is http.sys for IIS, SQL Server Reporting Services, WinRM and others (netsh http show servicestate tells whom)"
	}
	return p.String()
}

// endFix ends a process; of http.sys it ends the services.
func (f *facts) endFix(p host.Process) string {
	switch {
	case p.PID == 0:
		return "netstat -abno"
	case p.PID == systemPID && f.system.web:
		return "net stop W3SVC && sc config W3SVC start= disabled"
	case p.PID == systemPID:
		return "net stop http /y"
	}
	return fmt.Sprintf("taskkill /PID %d /T /F", p.PID)
}

// bindFix looks for who refuses an address, though nobody listens there.
func bindFix(error, int) string {
	return "netsh interface ipv4 show excludedportrange protocol=tcp"
}

// excludedFix takes ports back: what set them aside chooses others when it is started again.
func excludedFix(ports []int) string {
	return "net stop winnat && " + reserve(ports) + " && net start winnat"
}

// reserveFix keeps outgoing connections away from ports.
func (*facts) reserveFix(ports []int) string { return reserve(ports) }

func reserve(ports []int) string {
	var commands []string
	for _, r := range ranges(ports) {
		commands = append(commands, fmt.Sprintf(
			"netsh interface ipv4 add excludedportrange protocol=tcp startport=%d numberofports=%d store=persistent", r.First, r.Size()))
	}
	return strings.Join(commands, " && ")
}

// writeFix gives the account that runs this the right to write to a folder.
func writeFix(account string, f folder) string {
	grant := `icacls "` + f.path + `" /grant "` + account + `:(OI)(CI)M"`
	if !f.there {
		return `md "` + f.path + `" && ` + grant
	}
	return grant
}

// What a fix proposes.
const (
	tempExample = `'D:\spillway\temp'`
	logExample  = `'C:\spillway\logs\error.log'`
)
