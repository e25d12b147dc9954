package doctor

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"spillway/configs"
	"spillway/upstream/host"
)

func TestCheckSystem(t *testing.T) {
	f := machine(new(configs.Config))
	f.system = system{somaxconn: 4096, files: 1 << 20, reuse: 2}
	f.ephemeral = host.Range{First: 32768, Last: 60999}
	expect(t, checkSystem(f),
		"ok somaxconn: 4096 connections may wait to be accepted",
		"ok open files: 1048576 files and sockets may be open",
		"ok time wait: 0 closed connections hold a port, of 28232")

	f.system = system{somaxconn: 128, files: 1024, timeWait: 20000, reuse: 0}
	expect(t, checkSystem(f),
		"warning somaxconn: only 128 connections may wait to be accepted: a burst is refused, or tried again after a second",
		"warning open files: only 1024 files and sockets may be open: an exchange takes two, and one more when it spills",
		"warning time wait: 20000 closed connections hold a port, of 28232: something here opens a connection for each request")

	f.system = system{reuse: 0}
	expect(t, checkSystem(f),
		"note time wait: 0 closed connections hold a port, of 28232; none may be used again within a minute (tcp_tw_reuse is 0)")
}

func TestCollectSystem_OfThisMachine(t *testing.T) {
	f := machine(new(configs.Config))
	s := collectSystem(f)
	if s.somaxconn < 1 || s.files < 1 || s.timeWait < 0 || len(f.unknown) > 0 {
		t.Errorf("got %+v, %v", s, f.unknown)
	}
	if unit := s.unit(-1); unit != "" {
		t.Errorf("got unit %q of nobody", unit)
	}
}

func TestFixes(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	m := machine(&configs.Config{File: "site.yaml"})
	f(m.endFix(host.Process{PID: 7}), "kill 7")
	f(m.endFix(host.Process{}), "sudo spillway doctor -c site.yaml")
	m.system.unit = func(int) string { return "nginx.service" }
	f(m.endFix(host.Process{PID: 7}), "sudo systemctl disable --now nginx.service")

	m.exclusions = []host.Exclusion{{Range: host.Range{First: 8000, Last: 8001}, Reserved: true}}
	f(m.reserveFix([]int{9001, 9002, 9003}),
		"echo 'net.ipv4.ip_local_reserved_ports = 8000-8001,9001-9003' | sudo tee -a /etc/sysctl.d/90-spillway.conf && sudo sysctl --system")

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f(bindFix(syscall.EACCES, 80), "sudo setcap cap_net_bind_service=+ep '"+exe+"'")
	f(bindFix(errors.New("cannot assign requested address"), 80), "ip address show")
	f(writeFix("web", folder{path: "/var/log/x"}), "sudo install -d -o web '/var/log/x'")
	f(writeFix("web", folder{path: "/var/log/x", there: true}), "sudo setfacl -R -m u:web:rwX '/var/log/x'")
}
