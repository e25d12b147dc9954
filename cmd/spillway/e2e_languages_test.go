//go:build linux && !race

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"spillway/upstream/porttest"
)

// further are the backends of TestBackend_OfAnyLanguage.
func further() []kind {
	python := func(program, module string) [][]string {
		return [][]string{{program, "-c", "import " + module}}
	}
	const python3 = "/usr/bin/python3" // Debian's, which has the packages
	uwsgi := kinds[1]
	of := func(protocol string) kind {
		k := uwsgi
		k.name, k.protocol = "uwsgi over "+protocol, protocol
		k.command = `[uwsgi, --plugin, python3, --` + protocol + `-socket, "127.0.0.1:{port}", --module, project,` +
			` --need-app, --die-on-term, --disable-logging]`
		return k
	}
	return []kind{
		of("scgi"), of("uwsgi"),
		{
			name: "perl", fixture: "perl", hello: "hello from perl\n", needs: [][]string{{"perl", "-MSCGI", "-e", "1"}},
			protocol: "scgi", command: `[perl, site.pl, "{port}"]`,
		},
		{
			name: "tornado", fixture: "tornado", hello: "hello from tornado\n", needs: python(python3, "tornado"),
			protocol: "http", command: `[` + python3 + `, pages.py, "{port}"]`,
		},
		{
			name: "gevent", fixture: "gunicorn", hello: "hello from wsgi\n", needs: python(python3, "gevent"),
			protocol: "http", command: `[` + python3 + `, -c, "from gevent.pywsgi import WSGIServer; from wsgi import app;` +
				` WSGIServer(('127.0.0.1', {port}), app, log=None).serve_forever()"]`,
		},
		{
			name: "flask", fixture: "flask", hello: "hello from flask\n", needs: python(python3, "flask"),
			protocol: "http", command: `[` + python3 + `, -m, flask, --app, pages, run, --port, "{port}"]`,
		},
	}
}

// TestBackend_OfAnyLanguage is about what TestBackend does not run: two processes of each, and whole bodies in both
// directions.
func TestBackend_OfAnyLanguage(t *testing.T) {
	for _, k := range further() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := startSite(t, k, 2)
			t.Run("request bodies arrive whole", s.testRequestBodies)
			t.Run("large responses arrive whole", s.testLargeResponse)
		})
	}
}

// TestPeer_PHPFPM has a peer that somebody else runs: php-fpm on a unix socket.
func TestPeer_PHPFPM(t *testing.T) {
	k := kinds[0]
	k.name, k.needs = "php-fpm", [][]string{{fpm(), "-v"}}
	k.require(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "site"), os.DirFS(filepath.Join("testdata", k.fixture))); err != nil {
		t.Fatal(err)
	}
	socket := startFPM(t, dir)
	addr := porttest.Address(t)
	s := startProgram(t, dir, addr, fmt.Sprintf(`
upstreams:
  app:
    kind: php-cgi
    peers: ["unix:%s"]
    root: site
    health: {path: /ping, interval: 500ms, timeout: 500ms, match: {body: pong}}
servers:
  - {listen: ["%s"], client_max_body_size: 64m, locations: [{path: /, pass: app}]}
`, socket, addr))
	s.kind = k
	eventually(t, "php-fpm answers", func() bool {
		a, err := s.get("hello")
		return err == nil && string(a.body) == k.hello || s.hasEnded()
	})
	eventually(t, "php-fpm answers a probe with its own page", func() bool {
		state, passed, _, _ := s.probed(t)
		return state == "up" && passed > 0
	})
	t.Run("request bodies arrive whole", s.testRequestBodies)
	t.Run("large responses arrive whole", s.testLargeResponse)
}

// fpm returns php-fpm's file, whose name has a version.
func fpm() string {
	files, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(files) == 0 {
		return "php-fpm"
	}
	return files[0]
}

// startFPM starts php-fpm with two processes and returns its socket.
func startFPM(t *testing.T, dir string) string {
	t.Helper()
	socket, config := filepath.Join(dir, "fpm.sock"), filepath.Join(dir, "fpm.conf")
	text := fmt.Sprintf("[global]\nerror_log = %s\ndaemonize = no\n[www]\nuser = %d\ngroup = %d\nlisten = %s\npm = static\npm.max_children = 2\nping.path = /ping\n",
		filepath.Join(dir, "fpm.log"), os.Getuid(), os.Getgid(), socket)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(fpm(), "--fpm-config", config, "--allow-to-run-as-root")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	eventually(t, "php-fpm listens", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	return socket
}
