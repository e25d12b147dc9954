//go:build linux && !race

// Debian's nginx is the oracle for the whole program: both get the same configuration, each in its own language, the same
// peers and the same requests, and all that can be seen of them from outside is compared.
//
//  1. compare (nginx_compare_test.go) starts both rivals with the places of all trials
//  2. each trial sends its requests to nginx, then to spillway, and notes what the client and the peers saw
//     (nginx_client_test.go, nginx_peer_test.go)
//  3. both are stopped, so that their logs are complete, and each trial gets its lines (nginx_logs_test.go)
//  4. what differs must be in the table of intended differences (nginx_differences_test.go)

package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"spillway/upstream/porttest"
)

// A setup is a configuration in neither language.
type setup struct {
	format      string // of the access log: combined, or a text with variables
	places      []*place
	certificate string // a file with its key; empty: without TLS
}

// A place is a location with an upstream of its own; the name of both is that of the trial.
type place struct {
	name      string
	protocol  string // http, fastcgi, scgi or uwsgi
	peers     []*peer
	keepalive int         // idle connections to the peers
	settings  []string    // nginx's directives without the prefix of their module, as "read_timeout 200ms"
	twice     [][2]string // settings that the two languages write in different ways: nginx's directive, then the YAML line
	inner     []inner     // further locations for the same upstream
	journal   *journal    // what the peers were asked
}

// inner is a location beside that of a place.
type inner struct {
	path     string // behind that of the place, or "@name"
	internal bool
	twice    [][2]string
}

// path is what the location is for.
func (p *place) path() string { return "/" + p.name + "/" }

// A rival is one of the two programs.
type rival struct {
	name   string
	addr   string
	dir    string
	errors string // path of the error log
	access string // path of the access log
	secure bool   // its clients speak TLS
	stop   func() // ends the program when all its requests have been logged
}

// requireNginx skips the test when there is no nginx; the gate sets the variable, and has it fail.
func requireNginx(t *testing.T) string {
	t.Helper()
	file, err := exec.LookPath("nginx")
	if err == nil {
		return file
	}
	if os.Getenv("SPILLWAY_REQUIRE_BACKENDS") == "1" {
		t.Fatalf("nginx is not installed: %v", err)
	}
	t.Skipf("nginx is not installed: %v", err)
	return ""
}

// startNginx starts nginx with the setup.
func startNginx(t *testing.T, s setup) *rival {
	t.Helper()
	file := requireNginx(t)
	dir := newDir(t)
	r := &rival{
		name: "nginx", addr: porttest.Address(t), dir: dir, secure: s.certificate != "",
		errors: filepath.Join(dir, "logs", "error.log"), access: filepath.Join(dir, "logs", "access.log"),
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(s.nginxConf(r)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "-p", dir, "-c", conf, "-e", r.errors)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the program
		_ = cmd.Wait()
		close(ended)
	}()
	r.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	r.awaitListening(t, func() bool {
		select {
		case <-ended:
			t.Fatalf("nginx has ended: %s", output.String())
		default:
		}
		return false
	})
	return r
}

// startSpillway starts the program under test with the setup.
func startSpillway(t *testing.T, s setup) *rival {
	t.Helper()
	dir := newDir(t)
	r := &rival{
		name: "spillway", addr: porttest.Address(t), dir: dir, secure: s.certificate != "",
		errors: filepath.Join(dir, "logs", "error.log"), access: filepath.Join(dir, "logs", "access.log"),
	}
	running := startProgram(t, dir, r.addr, s.yaml(r))
	r.stop = func() {
		if err := running.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		running.waitEnd(t)
	}
	r.awaitListening(t, func() bool {
		if running.hasEnded() {
			t.Fatal("spillway has ended")
		}
		return false
	})
	return r
}

// newDir makes the folder of a rival, with all that the configuration names.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"logs", "site"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// awaitListening waits until the rival accepts connections; ended fails the test when it never will.
func (r *rival) awaitListening(t *testing.T, ended func() bool) {
	t.Helper()
	eventually(t, r.name+" listens", func() bool {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			return ended()
		}
		conn.Close()
		return true
	})
}

// serverName is the one that both have.
const serverName = "site.test"

// nginxConf writes the setup as an nginx.conf.
func (s setup) nginxConf(r *rival) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("daemon off; master_process off; pid %s/pid; error_log %s info;", r.dir, r.errors)
	line("events {}")
	line("http {")
	format := s.format
	if format != "combined" {
		line("log_format own '%s';", format)
		format = "own"
	}
	line("access_log %s %s; server_tokens off;", r.access, format)
	for _, module := range []string{"client_body", "proxy", "fastcgi", "scgi", "uwsgi"} {
		line("%[1]s_temp_path %[2]s/temp_%[1]s;", module, r.dir)
	}
	for _, p := range s.places {
		line("upstream %s {", p.name)
		for _, peer := range p.peers {
			line("server %s %s;", peer.addr, strings.Join(peer.flags, " "))
		}
		if p.keepalive > 0 {
			line("keepalive %d;", p.keepalive)
		}
		line("}")
	}
	if s.certificate != "" {
		line("ssl_certificate %[1]s; ssl_certificate_key %[1]s; ssl_protocols TLSv1.2 TLSv1.3;", s.certificate)
		line("server { listen %s ssl; server_name %s;", r.addr, serverName)
	} else {
		line("server { listen %s; server_name %s;", r.addr, serverName)
	}
	for _, p := range s.places {
		line("location %s {", p.path())
		p.nginxLocation(r, line)
		line("}")
		for _, in := range p.inner {
			line("location %s {", p.innerPath(in))
			if in.internal {
				line("internal;")
			}
			beside := &place{name: p.name, protocol: p.protocol, keepalive: p.keepalive, twice: in.twice}
			beside.nginxLocation(r, line)
			line("}")
		}
	}
	line("} }")
	return b.String()
}

// nginxLocation writes what is in the location, and what spillway does unasked.
func (p *place) nginxLocation(r *rival, line func(format string, args ...any)) {
	prefix := p.protocol + "_"
	if p.protocol == "http" {
		prefix = "proxy_"
		line("proxy_pass http://%s; proxy_http_version 1.1;", p.name)
		if p.keepalive > 0 {
			line(`proxy_set_header Connection "";`)
		}
	} else {
		line("%s_pass %s;", p.protocol, p.name)
		if p.keepalive > 0 {
			line("fastcgi_keep_conn on;")
		}
	}
	for _, d := range differences {
		line("%s", d.tell[p.protocol])
	}
	for _, s := range p.twice {
		line("%s", strings.ReplaceAll(s[0], "{}", strings.TrimSuffix(p.path(), "/")))
	}
	for _, s := range p.settings {
		key, value, _ := strings.Cut(s, " ")
		switch {
		case key == "root":
			line("root %s; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;", filepath.Join(r.dir, value))
		case key == "split_path_info":
			line(`fastcgi_split_path_info "%s"; fastcgi_param PATH_INFO $fastcgi_path_info;`, value)
		case strings.HasPrefix(key, "client_"):
			line("%s %s;", key, value)
		default:
			line("%s%s %s;", prefix, key, value)
		}
	}
}

// yaml writes the setup as a spillway.yaml.
func (s setup) yaml(r *rival) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("access_log: {path: logs/access.log, format: %s}", quoted(s.format))
	line("error_log: {path: logs/error.log, level: info}")
	line("why: off") // nginx has no ids of failures; TestWhy looks at them
	line("temp_path: temp")
	line("upstreams:")
	for _, p := range s.places {
		line("  %s:", p.name)
		line("    protocol: %s", p.protocol)
		line("    keepalive: %d", p.keepalive)
		line("    peers:")
		for _, peer := range p.peers {
			line("      - address: %s", peer.addr)
			for _, flag := range peer.flags {
				key, value, found := strings.Cut(flag, "=")
				if !found {
					value = "true"
				}
				line("        %s: %s", key, value)
			}
		}
	}
	line("servers:")
	if s.certificate != "" {
		line("  - listen: [%s]", quoted(r.addr+" tls"))
		line("    tls: {certificate: %s}", quoted(s.certificate))
	} else {
		line("  - listen: [%s]", quoted(r.addr))
	}
	line("    server_name: [%s]", serverName)
	line("    locations:")
	for _, p := range s.places {
		line("      - path: %s", p.path())
		line("        pass: %s", p.name)
		for _, s := range p.settings {
			key, value, _ := strings.Cut(s, " ")
			line("        %s: %s", key, quoted(value))
		}
		p.yamlTwice(p.twice, line)
		for _, in := range p.inner {
			line("      - path: %s", quoted(p.innerPath(in)))
			line("        pass: %s", p.name)
			if in.internal {
				line("        internal: on")
			}
			p.yamlTwice(in.twice, line)
		}
	}
	return b.String()
}

func (p *place) yamlTwice(twice [][2]string, line func(format string, args ...any)) {
	for _, s := range twice {
		line("        %s", strings.ReplaceAll(s[1], "{}", strings.TrimSuffix(p.path(), "/")))
	}
}

func (p *place) innerPath(in inner) string {
	if strings.HasPrefix(in.path, "@") {
		return in.path
	}
	return p.path() + in.path
}

// quoted is a text in YAML's single quotes, where nothing but the quote itself has a meaning.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// port is the port of an address.
func port(t *testing.T, addr string) string {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return text
}
