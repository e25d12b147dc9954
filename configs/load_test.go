package configs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/configs"
)

// parse returns the configuration in text, which has no problems, as if it were a file in testdata.
func parse(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(filepath.Join("testdata", "spillway.yaml"), []byte(text))
	if err != nil {
		t.Fatalf("got problems:\n%v", err)
	}
	return c
}

const peer = "\nupstreams: {app: {peers: [127.0.0.1:9001]}}\n"

func TestParse_MakesAServerOfTheShortForm(t *testing.T) {
	c := parse(t, "listen: 8080"+peer)
	if len(c.Servers) != 1 || len(c.Servers[0].Locations) != 1 {
		t.Fatalf("got %d servers, want one with one location", len(c.Servers))
	}
	s := c.Servers[0]
	l := s.Locations[0]
	if !slices.Equal(s.Listen, []configs.Listen{{Address: "0.0.0.0:8080"}}) || l.Path != "/" || l.Exact || l.Pass != "app" || !slices.Equal(s.Names, []string{""}) {
		t.Errorf("got listen %v, location %q to %q, names %q", s.Listen, l.Path, l.Pass, s.Names)
	}
	if l.Settings.Buffering.BusyBuffersSize != 32*configs.KiB || time.Duration(s.Client.HeaderTimeout) != 15*time.Second {
		t.Errorf("got busy_buffers_size %v, client_header_timeout %v, want the defaults", l.Settings.Buffering.BusyBuffersSize, s.Client.HeaderTimeout)
	}
}

func TestBuffering_DerivesHalfOfTheBuffers(t *testing.T) {
	f := func(first configs.Size, buffers configs.Buffers, want configs.Size) {
		t.Helper()
		b := configs.Buffering{BufferSize: first, Buffers: buffers}
		if b.Derive(); b.BusyBuffersSize != want || b.TempFileWriteSize != want {
			t.Errorf("%v and %v: got %v and %v, want %v", first, buffers, b.BusyBuffersSize, b.TempFileWriteSize, want)
		}
	}
	const k = configs.KiB
	f(8*k, configs.Buffers{Number: 8, Size: 8 * k}, 32*k)
	f(4*k, configs.Buffers{Number: 3, Size: 8 * k}, 16*k)
	f(32*k, configs.Buffers{Number: 8, Size: 4 * k}, 64*k)
	f(8*k, configs.Buffers{Number: 256, Size: 8 * k}, 64*k)
}

func TestParse_LetsTheNearestSettingWin(t *testing.T) {
	c := parse(t, `
read_timeout: 1
send_timeout: 1
connect_timeout: 1
buffer_size: 1k
set_header: {A: top, B: top}
keepalive_timeout: 5
upstreams:
  app: {peers: [127.0.0.1], read_timeout: 3, send_timeout: 3, keepalive_timeout: 9}
servers:
  - listen: 8080
    read_timeout: 2
    send_timeout: 2
    connect_timeout: 2
    keepalive_requests: 7
    locations:
      - {path: /a, pass: app, read_timeout: 4, set_header: {C: here}}
      - {path: /b, pass: app}
`)
	a, b := c.Servers[0].Locations[0].Settings, c.Servers[0].Locations[1].Settings
	f := func(name string, got configs.Duration, want int) {
		t.Helper()
		if time.Duration(got) != time.Duration(want)*time.Second {
			t.Errorf("%s: got %v, want %ds", name, got, want)
		}
	}
	f("location before upstream", a.ReadTimeout, 4)
	f("upstream before server", b.ReadTimeout, 3)
	f("upstream before server", a.SendTimeout, 3)
	f("server before top level", a.ConnectTimeout, 2)
	f("top level of the client side", c.Servers[0].Client.KeepaliveTimeout, 5)
	f("idle connections of the upstream", c.Upstreams[0].KeepaliveTimeout, 9)
	if c.Servers[0].Client.KeepaliveRequests != 7 || b.Buffering.BufferSize != configs.KiB {
		t.Errorf("got keepalive_requests %d, buffer_size %v, want 7, 1k", c.Servers[0].Client.KeepaliveRequests, b.Buffering.BufferSize)
	}
	if want := []configs.TemplateField{{Name: "C", Value: "here"}}; !reflect.DeepEqual(a.SetHeader, want) {
		t.Errorf("set_header: got %v, want %v alone", a.SetHeader, want)
	}
	if len(b.SetHeader) != 2 || a.Places.At("read_timeout").Line != 17 || b.Places.At("read_timeout").Line != 9 {
		t.Errorf("got %v, places %v, want both fields of the top level and lines 17 and 9", b.SetHeader, a.Places)
	}
}

func TestParse_ReadsUpstreams(t *testing.T) {
	c := parse(t, `
listen: "127.0.0.1:8080"
upstreams:
  app:
    protocol: fastcgi
    max_fails: 3
    peers:
      - 127.0.0.1:9001
      - {address: "unix:run/app.sock", weight: 5, max_fails: 0, backup: on, max_conns: 2, fail_timeout: 1m}
`)
	u := c.Upstreams[0]
	first, second := u.Peers[0], u.Peers[1]
	if first.Network != "tcp" || first.Address != "127.0.0.1:9001" || first.Weight != 1 || first.MaxFails != 3 {
		t.Errorf("got %+v, want the defaults of the upstream", first)
	}
	if second.Network != "unix" || second.Address != filepath.Join(c.Dir, "run", "app.sock") || second.Weight != 5 || second.MaxFails != 0 || !second.Backup {
		t.Errorf("got %+v", second)
	}
}

func TestParse_ReadsNames(t *testing.T) {
	c := parse(t, `
resolver: [10.0.0.53, "[::1]:5353"]
upstreams:
  app:
    hold_timeout: 5s
    peers:
      - app.internal:8000
      - App.internal
      - localhost:9001
      - app.LOCALHOST.:9002
      - {address: once.internal:1, resolve: off}
      - {address: app.internal, service: http}
      - "[::1]:9003"
  plain: {peers: [127.0.0.1:1, "unix:/x", "localhost:2"]}
servers: [{listen: 80, locations: [{path: /, pass: app}]}]
`)
	var got []string
	for _, p := range c.Upstreams[0].Peers {
		got = append(got, fmt.Sprint(p.Address, " ", p.Name, " ", p.Port, " ", p.Service, " ", p.Resolve))
	}
	want := []string{
		"app.internal:8000 app.internal 8000  true", "App.internal:80 App.internal 80  true",
		"127.0.0.1:9001  0  false", "127.0.0.1:9002  0  false", "once.internal:1 once.internal 1  false",
		"app.internal app.internal 0 http true", "[::1]:9003  0  false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !c.Upstreams[0].HasNames() || c.Upstreams[1].HasNames() {
		t.Error("want names in the first upstream alone")
	}
	r := c.Resolver
	if !slices.Equal(r.Addresses, []string{"10.0.0.53:53", "[::1]:5353"}) || !r.IPv6 || time.Duration(r.Timeout) != 5*time.Second {
		t.Errorf("got %+v, want two name servers and the defaults", r)
	}
}

func TestParse_CountsProcessesByTheirPorts(t *testing.T) {
	f := func(ports string, processes int, want []int) {
		t.Helper()
		c := parse(t, "listen: 80\nupstreams: {app: {backend: {command: [app, '{port}'], ports: "+ports+"}}}")
		b := c.Upstreams[0].Backend
		if b.Processes != (configs.Processes{Min: processes, Max: processes}) || !slices.Equal(b.Ports, want) || b.Directory != c.Dir {
			t.Errorf("%s: got %d processes, ports %v in %s, want %d, %v", ports, b.Processes.Max, b.Ports, b.Directory, processes, want)
		}
	}
	f("auto", 8, nil)
	f("9001-9003", 3, []int{9001, 9002, 9003})
	f("9001", 1, []int{9001})
	f("[9001, 9005-9006]", 3, []int{9001, 9005, 9006})
	f("9001-9003, processes: 2", 2, []int{9001, 9002, 9003})
}

func TestParse_ReadsServerNamesAndExactPaths(t *testing.T) {
	c := parse(t, `
upstreams: {app: {peers: ["127.0.0.1"]}}
servers:
  - listen: ["8080", "[::]:8080"]
    server_name: [Example.com, "*.example.org", www.*, .example.net, "", _]
    locations: [{path: "= /x", pass: app}, {pass: app, path: /}]
`)
	s := c.Servers[0]
	want := []string{"example.com", "*.example.org", "www.*", "example.net", "*.example.net", "", "_"}
	if !slices.Equal(s.Names, want) {
		t.Errorf("got %q, want %q", s.Names, want)
	}
	if l := s.Locations[0]; l.Path != "/x" || !l.Exact {
		t.Errorf("got %q, exact %v", l.Path, l.Exact)
	}
	if l := s.Locations[1]; l.Path != "/" || l.Pass != "app" {
		t.Errorf("got %q to %q, want / to app", l.Path, l.Pass)
	}
}

func TestParse_ReadsLogsAndAdmin(t *testing.T) {
	c := parse(t, "listen: 80\naccess_log: off\nerror_log: {path: stderr, level: info}\nadmin: {listen: '127.0.0.1:9180'}"+peer)
	if c.AccessLog.Path != "" || c.ErrorLog.Path != configs.Stderr || c.ErrorLog.Level != "info" || c.ErrorLog.Format != "nginx" {
		t.Errorf("got %+v, %+v", c.AccessLog, c.ErrorLog)
	}
	if c.Admin.Network != "tcp4" || c.Admin.Address != "127.0.0.1:9180" {
		t.Errorf("got %+v", c.Admin)
	}
	c = parse(t, "listen: 80\naccess_log: a.log\nerror_log: e.log\nadmin: off\nnext_upstream: off"+peer)
	if c.AccessLog.Path != filepath.Join(c.Dir, "a.log") || c.AccessLog.Format != "combined" || c.ErrorLog.Path != filepath.Join(c.Dir, "e.log") {
		t.Errorf("got %+v, %+v", c.AccessLog, c.ErrorLog)
	}
	if on := c.Servers[0].Locations[0].Settings.Retry.On; len(on) != 0 || c.Admin.Address != "" {
		t.Errorf("got next_upstream %v, admin %q, want none", on, c.Admin.Address)
	}
	c = parse(t, "listen: 80\naccess_log: {format: '$remote_addr $status'}\ntemp_path: spill"+peer)
	if c.AccessLog.Path != filepath.Join(c.Dir, "logs", "access.log") || c.AccessLog.Format != "$remote_addr $status" || c.TempPath != filepath.Join(c.Dir, "spill") {
		t.Errorf("got %+v, temp_path %s", c.AccessLog, c.TempPath)
	}
}

func TestParse_AcceptsAByteOrderMark(t *testing.T) {
	if c := parse(t, "\ufefflisten: 8080\r"+strings.ReplaceAll(peer, "\n", "\r\n")); len(c.Servers) != 1 {
		t.Errorf("got %d servers, want 1", len(c.Servers))
	}
}

func TestConfig_ListenersHaveTheirServers(t *testing.T) {
	c := parse(t, `
upstreams: {app: {peers: ["127.0.0.1"]}}
servers:
  - {listen: [8080, "[::1]:80"], server_name: a, locations: [{path: /, pass: app}]}
  - {listen: 8080, server_name: b, default_server: on, locations: [{path: /, pass: app}]}
`)
	l := c.Listeners()
	if len(l) != 2 {
		t.Fatalf("got %d listeners, want 2", len(l))
	}
	if l[0].Network != "tcp4" || l[0].Address != "0.0.0.0:8080" || len(l[0].Servers) != 2 || l[0].Default != c.Servers[1] {
		t.Errorf("got %+v, want both servers, the second one the default", l[0])
	}
	if l[1].Network != "tcp6" || l[1].Address != "[::1]:80" || len(l[1].Servers) != 1 || l[1].Default != c.Servers[0] {
		t.Errorf("got %+v, want the first server alone", l[1])
	}
}

func TestLoad_SaysInOneLineThatAFileIsMissing(t *testing.T) {
	_, err := configs.Load(filepath.Join("testdata", "none.yaml"))
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestProblems_AreOneLineEach(t *testing.T) {
	_, err := configs.Parse("s.yaml", []byte("listen: 0\nbufers: 1"))
	want := `s.yaml:1: listen: wrong address "0"; wrong port "0"; a port is 1 to 65535
s.yaml:1: no upstream: write upstreams
s.yaml:2: bufers: unknown key; did you mean buffers?`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestLoad_ReadsTheExamples(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %v, %v, want eight examples", files, err)
	}
	for _, file := range files {
		if _, err := configs.Load(file); err != nil {
			t.Error(err)
		}
	}
}

func TestConfig_CheckHostFindsWhatIsMissing(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := func(text string, want ...string) {
		t.Helper()
		c := parse(t, "listen: 80\n"+text)
		problems := c.CheckHost()
		if len(problems) != len(want) {
			t.Fatalf("%s: got %v, want %d problems", text, problems, len(want))
		}
		for i, p := range problems {
			if got := strings.TrimPrefix(p.String(), c.File+":"); !strings.HasPrefix(got, want[i]) {
				t.Errorf("got %s, want %s", got, want[i])
			}
		}
	}
	ok := "upstreams: {app: {backend: {command: ['" + program + "', '{port}']}}}"
	f(ok)
	f("upstreams: {app: {backend: {command: [no-such-program, '{port}']}}}", `2: upstreams.app.backend.command: exec: "no-such-program"`)
	f("upstreams: {app: {backend: {command: [./no-such-program, '{port}']}}}", `2: upstreams.app.backend.command: exec: `)
	f("temp_path: problems.txt\n"+ok, "2: temp_path: ")
	f("temp_path: problems.txt/temp\n"+ok, "2: temp_path: ")
	dir, base := filepath.Split(program)
	f("upstreams: {app: {backend: {command: ["+base+", '{port}'], directory: '"+dir+"'}}}",
		`2: upstreams.app.backend.command: "`+base+`" is not in PATH but in the directory: write ".`+string(filepath.Separator)+base+`"`)
	f("upstreams: {app: {backend: {command: ['." + string(filepath.Separator) + base + "', '{port}'], directory: '" + dir + "'}}}")
	f("temp_path: no/such/temp\nupstreams:\n  app:\n    backend:\n      command: [x, '{port}']\n      directory: nowhere",
		"2: temp_path: ", `6: upstreams.app.backend.command: exec: "x"`, "7: upstreams.app.backend.directory: open ")
}
