//go:build linux && !race

package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What goes wrong around the program: its configuration, its files, its own end.

// A configuration is reloaded while another reload waits for new processes: both are done, one after the other.
func TestFault_AReloadInTheMiddleOfAReload(t *testing.T) {
	f := faulty{processes: "2"}
	s, admin := servingFaulty(t, f)
	l := s.startLoad(4)
	put(t, s.dir, "how", listenLater)
	reload := func(backend string) <-chan said {
		f.backend = backend
		put(t, s.dir, "spillway.yaml", f.config(t, s.addr, admin))
		done := make(chan said, 1)
		go func() { done <- s.command(t, "reload") }() // ends with the reload
		return done
	}
	before := len(s.processes(t))
	first := reload("env: {VERSION: one}")
	eventually(t, "a new process is being started", func() bool { return len(s.processes(t)) > before })
	second := reload("env: {VERSION: two}")
	letGo(t, s.dir)
	const done = "pid [0-9]+ serves .*spillway.yaml as it is now\n"
	(<-first).want(t, 0, done, "")
	(<-second).want(t, 0, done, "")
	l.end(t)
	for _, pid := range readyPIDs(t, admin) {
		if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || !strings.Contains(string(environ), "VERSION=two") {
			t.Errorf("process %d is not of the last configuration: %v", pid, err)
		}
	}
	eventually(t, "the log tells of both", func() bool {
		return strings.Count(s.errorLog(), "configuration reloaded, file: ") == 2
	})
}

// The file is being written while it is read: the old configuration serves, and the line says where the new one ends.
func TestFault_AConfigurationThatIsHalfWritten(t *testing.T) {
	site := faulty{}
	s, admin := servingFaulty(t, site)
	whole := site.config(t, s.addr, admin)
	l := s.startLoad(2)
	f := func(until, complaint string) {
		t.Helper()
		half, _, _ := strings.Cut(whole, until)
		put(t, s.dir, "spillway.yaml", half)
		s.command(t, "reload").want(t, 1, "", `\S+spillway\.yaml:`+complaint+"\n")
		s.signal(t, syscall.SIGHUP)
		s.logged(t, "error", `configuration not reloaded, \S+spillway\.yaml as it was before serves on: \S+spillway\.yaml:`+complaint)
	}
	f("upstreams:", `\d+: no upstream: write upstreams`)
	f("command: ", `10: upstreams\.app\.backend.*`)
	f(`, "{port}"`, `\d+: YAML: did not find expected .*`)
	put(t, s.dir, "spillway.yaml", whole)
	s.command(t, "reload").want(t, 0, "pid .* as it is now\n", "")
	l.end(t)
}

// again starts the program once more with the configuration of one that was killed, without any pause.
func (s *site) again(t *testing.T) *site {
	t.Helper()
	next := &site{
		kind: s.kind, dir: s.dir, addr: s.addr, url: s.url, mark: s.mark, client: s.client, ended: make(chan struct{}),
	}
	next.run(t, exec.Command(program, "-c", filepath.Join(s.dir, "spillway.yaml")))
	return next
}

// However the program is killed, its processes end with it, and the next one has their ports, the address and the
// socket for commands at once.
func TestFault_KilledAtAnyMoment(t *testing.T) {
	list, _ := ports(t, 3)
	all := faulty{processes: "2", backend: "ports: " + list}
	with := func(how, backend string) faulty {
		f := all
		f.how, f.backend = how, f.backend+"\n      "+backend
		return f
	}
	f := func(name string, config faulty, kill func(s *site, admin string)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s, admin := startFaulty(t, config)
			kill(s, admin)
			old := s.processes(t)
			letGo(t, s.dir)
			s.signal(t, syscall.SIGKILL)
			s.waitEnd(t)
			next := s.again(t)
			next.awaitHello(t)
			gone(t, old...)
			next.command(t, "status").want(t, 0, fmt.Sprintf("(?s)spillway .*, pid %d, serving since .*", next.cmd.Process.Pid), "")
			next.command(t, "quit").want(t, 0, "pid [0-9]+ has ended after [0-9.]+ s; no request was cut\n", "")
			next.checkEnded(t, 0)
		})
	}
	ready := func(s *site, admin string) {
		s.awaitHello(t)
		eventually(t, "both are ready", func() bool { return len(readyPIDs(t, admin)) == 2 })
	}
	f("during the start", with(listenLater, ""), func(_ *site, admin string) {
		eventually(t, "the processes are being started", func() bool {
			return !refuses(admin) && peers(t, admin)[1].Process != nil && peers(t, admin)[1].Process.State == "starting"
		})
	})
	f("under load", all, func(s *site, admin string) {
		ready(s, admin)
		for range 8 {
			s.getAsync("await?file=never")
		}
		eventually(t, "requests run", func() bool { return strings.Contains(s.command(t, "status").stdout, "8 in flight") })
	})
	f("during a rolling restart", all, func(s *site, admin string) {
		ready(s, admin)
		put(t, s.dir, "how", listenLater)
		before := len(s.processes(t))
		restart := exec.Command(program, "restart", "-c", filepath.Join(s.dir, "spillway.yaml"))
		go func() { _ = restart.Run() }() // ends with the program
		eventually(t, "a new process is being started", func() bool { return len(s.processes(t)) > before })
	})
	f("with stubborn processes", with(beStubborn, "stop_timeout: 200ms"), ready)
	f("during the end", with(beStubborn, "stop_timeout: 1h"), func(s *site, admin string) {
		ready(s, admin)
		s.signal(t, syscall.SIGQUIT)
		eventually(t, "nobody is let in", func() bool { return refuses(s.addr) })
		put(t, s.dir, "how", serveWell)
	})
}

// The disk does not take what processes write: they serve, and the error log tells of it.
func TestFault_OutputThatCannotBeWritten(t *testing.T) {
	t.Run("disk full", func(t *testing.T) {
		s, _ := servingFaulty(t, faulty{backend: "output: /dev/full", how: writeTooMuch})
		s.logged(t, "error", `file not written: /dev/full: write /dev/full: no space left on device; `+
			`its lines wait, and are lost when there are too many; look at its disk`)
		eventually(t, "the process has written all", func() bool {
			_, err := os.Stat(filepath.Join(s.dir, "written"))
			return err == nil
		})
		kill(t, s.wantHello(t).pid)
		s.logged(t, "error", `process output not written: app/1 \(pid \d+, port \d+\): .*no space left on device; `+
			`look at the disk and the folder of its output file`)
		s.wantHello(t)
	})
	t.Run("no folder", func(t *testing.T) {
		s, _ := servingFaulty(t, faulty{backend: "output: output/app.log"})
		folder := filepath.Join(s.dir, "output")
		if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		kill(t, s.wantHello(t).pid)
		s.logged(t, "error", `output file not opened: app/1 \(port \d+\) runs without it: .*output.*: not a directory; `+
			"when that is mended, `spillway restart app` opens it")
		s.wantHello(t)
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		s.command(t, "restart", "app").want(t, 0, "the processes .*\n", "")
		if _, err := os.Stat(filepath.Join(folder, "app.log")); err != nil {
			t.Error(err)
		}
	})
}

// The folder of a log file is gone when the file is to be put aside: it is made anew. Where that is not possible the lines go on
// to the old file, and reopen makes a new one when all is well again.
func TestFault_ALogFileThatCannotBeRotated(t *testing.T) {
	line := strings.Repeat("x", 1000)
	s, _ := servingFaulty(t, faulty{more: "access_log: {path: access/access.log, format: '" + line + " $uri', rotate: {size: 64k, keep: 2}}"})
	l := s.startLoad(2)
	folder := filepath.Join(s.dir, "access")
	remade := func() bool {
		text, err := os.ReadFile(filepath.Join(folder, "access.log"))
		return err == nil && strings.Contains(string(text), line+" /hello\n")
	}
	// At any moment of a rotation there may be one more file in it, or the folder is made anew.
	remove := func(then func() error) {
		t.Helper()
		eventually(t, "the folder is gone", func() bool { return os.RemoveAll(folder) == nil && then() == nil })
	}
	remove(func() error { return nil })
	eventually(t, "the folder is there again", remade)
	remove(func() error { return os.WriteFile(folder, nil, 0o600) })
	s.logged(t, "warn", `file not rotated: rotate \S+/access/access\.log: .*access.*: not a directory; `+
		`it is written on, and tried again every minute; look at its folder`)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	s.command(t, "reopen").want(t, 0, "", "")
	eventually(t, "the file is there again", remade)
	l.end(t)
}
