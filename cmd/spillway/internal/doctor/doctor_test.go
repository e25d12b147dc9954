package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spillway/configs"
	"spillway/upstream/host"
)

// config reads a configuration; problems do not matter here.
func config(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(filepath.Join(t.TempDir(), "test.yaml"), []byte(text))
	if c == nil {
		t.Fatal(err)
	}
	return c
}

const backendConfig = `
listen: ["8080"]
upstreams:
  app:
    protocol: http
    backend: {command: [app], processes: 3, ports: 9001-9004}
`

// machine is one with which nothing is wrong; spillway is not running.
func machine(c *configs.Config) *facts {
	f := &facts{
		config: c, given: true, program: "spillway", account: "web",
		processes: []host.Process{
			{PID: 4, Name: "System"},
			{PID: 10, Name: "nginx.exe", Orphan: true},
			{PID: 20, Name: "spillway"},
			{PID: 21, Name: "app", Parent: 20},
			{PID: 22, Name: "app", Parent: 21},
		},
		binding:   map[string]error{},
		lookupEnv: func(string) (string, bool) { return "", false },
		temp:      folder{key: "temp_path", path: "temp", volume: host.Volume{Kind: host.Fixed, Free: 1 << 40, Total: 1 << 41}},
	}
	return f
}

func socket(address string, pid int) host.Socket {
	return host.Socket{Address: netip.MustParseAddrPort(address), PID: pid}
}

// expect compares findings, written as "severity topic: text"; fixes have to be there when something is wrong.
func expect(t *testing.T, findings []Finding, want ...string) {
	t.Helper()
	var got []string
	for _, f := range findings {
		got = append(got, f.Severity.String()+" "+f.Topic+": "+f.Text)
		if f.Severity >= Warning && f.Fix == "" {
			t.Errorf("%+v has no fix", f)
		}
		if strings.ContainsFunc(f.Text+f.Fix, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%+v is not one line of ASCII", f)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestCheckCertificates(t *testing.T) {
	f := machine(config(t, backendConfig))
	expect(t, checkCertificates(f))
	f.expiry = configs.Problems{{Message: `"site.pem" has expired at noon`}}
	expect(t, checkCertificates(f), `warning certificate: "site.pem" has expired at noon`)
}

func TestCheckListen(t *testing.T) {
	f := machine(config(t, backendConfig))
	expect(t, checkListen(f), "ok port 8080: listen 0.0.0.0:8080 is free")

	f.binding["0.0.0.0:8080"] = errors.New("in use")
	expect(t, checkListen(f), "error port 8080: listen 0.0.0.0:8080 cannot be bound: in use")

	// Another address of the port is the explanation when there is no nearer one.
	f.sockets = []host.Socket{socket("127.0.0.1:8080", 10)}
	expect(t, checkListen(f), "error port 8080: listen 0.0.0.0:8080 is taken by nginx.exe (pid 10)")

	f.sockets = []host.Socket{socket("127.0.0.1:8080", 10), socket("0.0.0.0:8080", 20)}
	expect(t, checkListen(f), "ok port 8080: listen 0.0.0.0:8080 belongs to the spillway that is running: spillway (pid 20)")

	f.sockets = []host.Socket{socket("0.0.0.0:8080", 0)}
	expect(t, checkListen(f), "error port 8080: listen 0.0.0.0:8080 is taken by a process that this account may not see")
}

func TestCheckWeb(t *testing.T) {
	f := machine(config(t, backendConfig))
	f.sockets = []host.Socket{socket("0.0.0.0:80", 10), socket("[::]:443", 20), socket("0.0.0.0:8080", 10)}
	expect(t, checkWeb(f), "note port 80: belongs to nginx.exe (pid 10)")
}

func TestCheckBackendPorts(t *testing.T) {
	f := machine(config(t, backendConfig))
	expect(t, checkBackendPorts(f), "ok backend app: ports 9001-9004 are free")

	f.sockets = []host.Socket{
		socket("192.168.1.1:9001", 10), // does not matter to who listens on 127.0.0.1
		socket("127.0.0.1:9002", 22), socket("0.0.0.0:9003", 10), socket("[::]:9004", 11),
	}
	expect(t, checkBackendPorts(f),
		"error backend app: port 9003 is taken by nginx.exe (pid 10), which nobody looks after: who started it is gone",
		"error backend app: port 9004 is taken by pid 11",
		"ok backend app: port 9002 is served by the spillway that is running",
		"ok backend app: port 9001 is free")
}

func TestOurs_EndsInACircle(t *testing.T) {
	f := machine(new(configs.Config))
	f.processes = []host.Process{{PID: 1, Parent: 2}, {PID: 2, Parent: 1}}
	if f.ours(f.processes[0]) {
		t.Error("a stranger is ours")
	}
}

func TestCheckPeers(t *testing.T) {
	f := machine(config(t, `
listen: ["8080"]
upstreams:
  app:
    protocol: http
    peers: ["127.0.0.1:9001", "localhost:9002", "127.0.0.1:9003", "10.0.0.1:80", {address: "127.0.0.1:9004", down: true}]
`))
	expect(t, checkPeers(f)) // not known is nothing wrong
	f.sockets = []host.Socket{socket("0.0.0.0:9003", 10)}
	expect(t, checkPeers(f), "warning upstream app: nobody listens on 127.0.0.1:9001, 127.0.0.1:9002")

	f.localhost = []netip.Addr{netip.IPv6LinkLocalAllNodes(), netip.MustParseAddr("127.0.0.1")}
	f.localhost[0] = netip.IPv6Loopback()
	expect(t, checkLocalhost(f),
		"note localhost: is ::1 first: write 127.0.0.1 in backends' settings and programs (databases, caches) alike")
	slices.Reverse(f.localhost)
	expect(t, checkLocalhost(f))
}

func TestCheckEphemeral(t *testing.T) {
	f := machine(config(t, backendConfig))
	expect(t, checkEphemeral(f))
	f.ephemeral = host.Range{First: 10000, Last: 65535}
	expect(t, checkEphemeral(f), "ok ephemeral ports: no configured port lies in 10000-65535")
	f.ephemeral = host.Range{First: 9003, Last: 65535}
	expect(t, checkEphemeral(f),
		"warning ephemeral ports: ports 9003-9004 lie in 9003-65535, from which outgoing connections take theirs: now and then a process will find its port taken")
	f.exclusions = []host.Exclusion{{Range: host.Range{First: 9000, Last: 9999}, Reserved: true}}
	expect(t, checkEphemeral(f), "ok ephemeral ports: no configured port lies in 9003-65535")
}

func TestCheckPHP(t *testing.T) {
	check := func(backend, environment string, want ...string) {
		t.Helper()
		f := machine(config(t, "listen: ['80']\nupstreams: {php: {protocol: fastcgi, backend: "+backend+"}}"))
		f.lookupEnv = func(name string) (string, bool) { return environment, name == phpMaxRequests && environment != "" }
		expect(t, checkPHP(f), want...)
	}
	const right = "ok backend php: php-cgi does not end by itself before spillway replaces it"
	ends := func(how string) string {
		return "warning backend php: php-cgi ends by itself after " + how + ", and what waits for it then gets a 502"
	}
	check(`{command: ['C:\php\php-cgi.exe', -b, '127.0.0.1:{port}']}`, "", right) // by its kind
	check(`{command: [php-cgi, -b, '127.0.0.1:{port}'], env: {PHP_FCGI_MAX_REQUESTS: "500"}, max_requests: 500}`, "",
		ends("500 requests (PHP_FCGI_MAX_REQUESTS of the backend)"))
	check(`{command: [php-cgi, -b, '127.0.0.1:{port}'], env: {PHP_FCGI_MAX_REQUESTS: "700"}, max_requests: 500}`, "", right)
	check(`{command: [app]}`, "500")

	// What a configuration means that knows nothing of php-cgi.
	b := &configs.Backend{Command: []string{"php-cgi8.3"}}
	f := machine(&configs.Config{Upstreams: []*configs.Upstream{{Name: "php", Backend: b}}})
	expect(t, checkPHP(f), ends("500 requests (its default)"))
	f.lookupEnv = func(string) (string, bool) { return "1000", true }
	expect(t, checkPHP(f), ends("1000 requests (PHP_FCGI_MAX_REQUESTS in the environment)"))
	f.lookupEnv = func(string) (string, bool) { return "0", true }
	expect(t, checkPHP(f), right)
}

func TestCheckTemp(t *testing.T) {
	check := func(v host.Volume, err error, want string) {
		t.Helper()
		f := machine(&configs.Config{TempBudget: 10 * configs.GiB})
		f.temp.volume, f.temp.err = v, err
		expect(t, checkTemp(f), want)
	}
	const much = 1 << 40
	check(host.Volume{Kind: host.Fixed, Free: much}, nil, "ok temp_path: temp has 1024g free on a fixed drive")
	check(host.Volume{Kind: host.Fixed, Free: 9 << 30}, nil, "warning temp_path: temp has 9g free, and spill files may take 10g together")
	check(host.Volume{Kind: host.Network, Free: much}, nil,
		"warning temp_path: temp lies on a network drive: a slow client's response goes there and back over the network")
	check(host.Volume{Kind: host.InMemory, Free: much}, nil, "warning temp_path: temp lies in memory: what spills there to save memory takes it")
	check(host.Volume{Kind: host.Removable, Free: much}, nil, "note temp_path: temp lies on a removable drive")
	check(host.Volume{}, errors.New("gone"), "warning temp_path: temp: gone")
}

func TestCheckLogs(t *testing.T) {
	f := machine(new(configs.Config))
	f.logs = []folder{
		{key: "access_log", path: "a", err: &fs.PathError{Op: "open", Path: "a", Err: fs.ErrPermission}},
		{key: "error_log", path: "b", err: errors.New("no such device")},
		{key: "output of app", path: "c", volume: host.Volume{Kind: host.Fixed, Free: 5 << 20}},
		{key: "output of app", path: "d", volume: host.Volume{Kind: host.Network, Free: 5 << 40}},
		{key: "output of app", path: "e"},
	}
	expect(t, checkLogs(f),
		"error access_log: web, who runs this, may not write there: open a: permission denied",
		"error error_log: no such device",
		"warning output of app: c has only 5m free",
		"note output of app: d lies on a network drive: lines are lost while it is away",
		"ok output of app: e can be written")
}

// The real machine: a port that is taken, a folder that can be written and one that is a file.
func TestCollect(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Parse(filepath.Join(dir, "test.yaml"), []byte(`
servers: [{listen: ["`+ln.Addr().String()+`"], locations: [{path: /, pass: app}]}]
upstreams:
  app: {protocol: http, backend: {command: [app], output: "out/{port}.log"}}
access_log: {path: file/access.log}
error_log: {path: logs/error.log}
`))
	if c == nil {
		t.Fatal(err)
	}
	f := collect(c)
	if f.binding[ln.Addr().String()] == nil {
		t.Errorf("%s can be bound a second time", ln.Addr())
	}
	if owner, taken := f.owner(ln.Addr().String()); !taken || owner.PID != os.Getpid() && owner.PID != 0 {
		t.Errorf("got owner %v, %v", owner, taken)
	}
	keys := map[string]bool{}
	for _, l := range f.logs {
		keys[l.key] = l.err == nil
	}
	if want := (map[string]bool{"access_log": true, "error_log": true, "output of app": true}); len(keys) != len(want) || !keys["error_log"] {
		t.Errorf("got %v, want %v", keys, want)
	}
	if f.temp.err != nil || f.temp.volume.Free == 0 {
		t.Errorf("got %+v of the temp folder", f.temp)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".spillway-doctor-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want nothing left behind", left, err)
	}
}

func TestRun_WithoutAConfiguration(t *testing.T) {
	var text, form bytes.Buffer
	status := Run(&text, nil, false)
	if got := text.String(); !strings.Contains(got, "no configuration: its ports, folders and backends are not compared\n") || !strings.HasSuffix(got, " ok\n") {
		t.Errorf("got %s", got)
	}
	again := Run(&form, nil, true)
	var r struct {
		Status   int
		Findings []struct{ Severity, Topic, Text, Fix string }
	}
	if err := json.Unmarshal(form.Bytes(), &r); err != nil || r.Status != again || len(r.Findings) < 2 {
		t.Errorf("got %+v, %v of %s", r, err, form.String())
	}
	if status > 2 || again > 2 {
		t.Errorf("got status %d and %d", status, again)
	}
}

func TestStatus(t *testing.T) {
	f := func(want int, severities ...Severity) {
		t.Helper()
		var findings []Finding
		for _, s := range severities {
			findings = append(findings, Finding{Severity: s})
		}
		if got := statusOf(findings); got != want {
			t.Errorf("%v: got status %d, want %d", severities, got, want)
		}
	}
	f(0)
	f(0, OK, Note)
	f(1, Note, Warning, OK)
	f(2, OK, Error, Warning)
}

func TestWriteText_IsAligned(t *testing.T) {
	var b bytes.Buffer
	err := writeText(&b, []Finding{
		{Error, "port 80", "is taken", "kill 1"}, {Severity: Note, Topic: "temp_path", Text: "lies"}, {Topic: "x", Text: "y"},
	})
	const want = `error    port 80    is taken
                    fix: kill 1
note     temp_path  lies
ok       x          y

1 error, 0 warnings, 1 note, 1 ok
`
	if err != nil || b.String() != want {
		t.Errorf("got %v\n%swant\n%s", err, b.String(), want)
	}
}
