package doctor

import (
	"testing"

	"spillway/configs"
	"spillway/upstream/host"
)

func TestCheckTimedWait(t *testing.T) {
	check := func(s setting, want string) {
		t.Helper()
		f := machine(new(configs.Config))
		f.system.timedWait = s
		expect(t, checkTimedWait(f), want)
	}
	check(setting{30, true}, "ok TcpTimedWaitDelay: a closed connection holds its port for 30 s")
	check(setting{240, true}, "note TcpTimedWaitDelay: a closed connection holds its port for 240 s, "+
		"which matters when backends are not kept alive; needs a restart of Windows")
	check(setting{}, "note TcpTimedWaitDelay: not set: a closed connection holds its port for two minutes or more, "+
		"which matters when backends are not kept alive; needs a restart of Windows")
}

func TestCheckDynamicRange(t *testing.T) {
	f := machine(new(configs.Config))
	expect(t, checkDynamicRange(f))
	f.ephemeral = host.Range{First: 10000, Last: 65534}
	expect(t, checkDynamicRange(f), "ok dynamic ports: outgoing connections have 55535 ports (10000-65534)")
	f.ephemeral = host.Range{First: 49152, Last: 65535}
	f.system.maxUserPort = setting{65534, true}
	expect(t, checkDynamicRange(f),
		"note dynamic ports: outgoing connections have 16384 ports (49152-65535)",
		"note MaxUserPort: 65534 is a setting for Windows before Vista: since then the range is set with netsh, see dynamic ports")
	f.ephemeral, f.system = host.Range{First: 1025, Last: 5000}, system{}
	expect(t, checkDynamicRange(f), "warning dynamic ports: outgoing connections have 3976 ports (1025-5000)")
}

func TestCheckExcluded(t *testing.T) {
	f := machine(config(t, backendConfig))
	f.exclusions = []host.Exclusion{
		{Range: host.Range{First: 8000, Last: 8100}, Reserved: true},
		{Range: host.Range{First: 9002, Last: 9101}},
		{Range: host.Range{First: 50000, Last: 50059}},
	}
	findings := checkExcluded(f)
	expect(t, findings, "error excluded ports: ports 9002-9004 lie in 9002-9101, which Windows has set aside (Hyper-V, WSL, Docker): "+
		"to listen there is refused with error 10013")
	const want = "net stop winnat && netsh interface ipv4 add excludedportrange protocol=tcp startport=9002 numberofports=3 store=persistent && net start winnat"
	if got := findings[0].Fix; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckShared(t *testing.T) {
	f := machine(new(configs.Config))
	f.processes = []host.Process{{PID: 10, Name: "nginx.exe"}, {PID: 12, Name: "nginx.exe"}}
	f.sockets = []host.Socket{
		socket("0.0.0.0:80", 10), socket("0.0.0.0:80", 12), socket("127.0.0.1:80", 13), socket("0.0.0.0:81", 10), socket("0.0.0.0:81", 10),
	}
	expect(t, checkShared(f), "warning port 80: several listen on 0.0.0.0:80, and chance says who gets a connection: nginx.exe (pid 10), nginx.exe (pid 12)")
}

func TestCheckOrphans(t *testing.T) {
	f := machine(new(configs.Config))
	f.processes = []host.Process{
		{PID: 10, Name: "nginx.exe", Orphan: true},
		{PID: 11, Name: "nginx.exe", Parent: 10}, // a site that is served
		{PID: 12, Name: "nginx.exe", Orphan: true},
		{PID: 13, Name: "php-cgi.exe", Orphan: true},
		{PID: 14, Name: "notepad.exe", Orphan: true},
		{PID: 15, Name: "php-cgi.exe", Parent: 14},
	}
	f.sockets = []host.Socket{socket("0.0.0.0:80", 12), socket("0.0.0.0:443", 12)}
	expect(t, checkOrphans(f),
		"warning orphan: nginx.exe (pid 12) runs on, though who started it is gone; it listens on port 80, 443",
		"warning orphan: php-cgi.exe (pid 13) runs on, though who started it is gone")
}

func TestEndFix(t *testing.T) {
	f := machine(new(configs.Config))
	check := func(p host.Process, want string) {
		t.Helper()
		if got := f.endFix(p); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(host.Process{PID: 7}, "taskkill /PID 7 /T /F")
	check(host.Process{PID: 4}, "net stop http /y")
	f.system.web = true
	check(host.Process{PID: 4}, "net stop W3SVC && sc config W3SVC start= disabled")
	if got, want := writeFix(`HOST\web`, folder{path: `C:\logs`}), `md "C:\logs" && icacls "C:\logs" /grant "HOST\web:(OI)(CI)M"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadSetting_OfThisMachine(t *testing.T) {
	if s, err := readSetting("TcpTimedWaitDelay"); err != nil || s.set && s.value > 300 {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err := readSetting("SpillwayHasNoSuchSetting"); err != nil || s.set {
		t.Errorf("got %+v, %v", s, err)
	}
	if isRunning("spillway-no-such-service") {
		t.Error("a service that does not exist runs")
	}
}
