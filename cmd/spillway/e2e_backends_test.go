//go:build linux && !race

package main_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A kind is a real backend: how to see that it is installed, how to configure it, and where its pages are.
type kind struct {
	name    string
	needs   [][]string // commands that succeed when it is installed
	fixture string     // folder in testdata
	suffix  string     // of the names of pages
	hello   string     // body of the page hello

	protocol string
	command  string // YAML list
	backend  string // further keys of the backend, in YAML
	location string // further keys of the location, in YAML

	forks bool // the process that spillway starts has children, and they answer
}

var kinds = []kind{
	{
		name: "php-cgi", fixture: "php", suffix: ".php", hello: "hello from php\n",
		needs:    [][]string{{"php-cgi", "-v"}},
		protocol: "fastcgi", command: `[php-cgi, -b, "127.0.0.1:{port}"]`, location: "root: site",
		// It would end after 500 requests.
		backend: `env: {PHP_FCGI_MAX_REQUESTS: "0"}`,
	},
	{
		name: "django", fixture: "django", hello: "hello from django\n",
		needs: [][]string{{"uwsgi", "--plugin", "python3", "--version"}, {"/usr/bin/python3", "-c", "import django"}},
		// Without uwsgi's master: the process that spillway starts is the one that answers.
		protocol: "fastcgi", command: `[uwsgi, --plugin, python3, --fastcgi-socket, "127.0.0.1:{port}", --module, project,` +
			` --need-app, --die-on-term, --disable-logging]`,
	},
	{
		name: "gunicorn", fixture: "gunicorn", hello: "hello from wsgi\n",
		needs:    [][]string{{"gunicorn", "--version"}},
		protocol: "http", command: `[gunicorn, -b, "127.0.0.1:{port}", -w, "1", "wsgi:app"]`,
		forks: true,
	},
}

// require skips the test when the backend is not installed; the gate sets the variable, and has it fail.
func (k kind) require(t *testing.T) {
	t.Helper()
	for _, command := range k.needs {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			message := fmt.Sprintf("%s is not installed: %s: %v %s", k.name, strings.Join(command, " "), err, out)
			if os.Getenv("SPILLWAY_REQUIRE_BACKENDS") == "1" {
				t.Fatal(message)
			}
			t.Skip(message)
		}
	}
}

func (k kind) config(addr string, processes int) string {
	return fmt.Sprintf(`
upstreams:
  app:
    protocol: %s
    backend:
      command: %s
      directory: site
      processes: %d
      %s
servers:
  - listen: ["%s"]
    server_name: [localhost]
    locations:
      - {path: /, pass: app, client_max_body_size: 64m, %s}
`, k.protocol, k.command, processes, k.backend, addr, k.location)
}

// path turns the name of a page, which may have a query, into a path.
func (k kind) path(page string) string {
	name, query, hasQuery := strings.Cut(page, "?")
	if hasQuery {
		query = "?" + query
	}
	return "/" + name + k.suffix + query
}

// started returns the process that spillway has started for the one that answered.
func (k kind) started(t *testing.T, pid int) int {
	t.Helper()
	if k.forks {
		return parent(t, pid)
	}
	return pid
}

func TestBackend(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := startSite(t, k, 8)
			t.Run("requests are spread over all processes", s.testSpread)
			t.Run("request bodies arrive whole", s.testRequestBodies)
			t.Run("large responses arrive whole", s.testLargeResponse)
			t.Run("a slow client makes a spill", s.testSpill)
			t.Run("killed processes cost no request and come back", s.testKilledProcesses)
			t.Run("a terminated program ends its processes", s.testTerminate)
		})
	}
}

func TestBackend_KilledProgramLeavesNoProcess(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := startSite(t, k, 2)
			if n := len(s.processes(t)); n < 2 {
				t.Fatalf("got %d processes, want two at least", n)
			}
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "all processes have ended", func() bool { return len(s.processes(t)) == 0 })
		})
	}
}

// A php-cgi that ends by itself after a number of requests is the best-known cause of a 502 in front of it. With max_requests it
// is replaced before, and nobody notices.
func TestBackend_MaxRequestsReplacesProcesses(t *testing.T) {
	k := kinds[0]
	k.backend = `env: {PHP_FCGI_MAX_REQUESTS: "0"}
      max_requests: 50`
	s := startSite(t, k, 8)
	l := s.startLoad(4)
	eventually(t, "each process has been replaced twice", func() bool { return len(l.answered()) >= 24 })
	l.end(t)
}

func (s *site) testSpread(t *testing.T) {
	pids := map[int]int{}
	for range 200 {
		a, err := s.get("hello")
		if err != nil || a.status != http.StatusOK || string(a.body) != s.kind.hello {
			t.Fatalf("got %d %q, %v", a.status, a.body, err)
		}
		pids[a.pid]++
	}
	if len(pids) != 8 {
		t.Errorf("got answers from %d processes, want 8", len(pids))
	}
	for pid, n := range pids {
		if n < 20 || n > 30 {
			t.Errorf("process %d: got %d of 200 requests, want about 25", pid, n)
		}
	}
}

func (s *site) testRequestBodies(t *testing.T) {
	f := func(name string, body io.Reader, content []byte) {
		t.Helper()
		sum := sha1.Sum(content)
		want := fmt.Sprintf("%d %s\n", len(content), hex.EncodeToString(sum[:]))
		a, err := s.do(http.MethodPost, "echo", body)
		if err != nil || a.status != http.StatusOK || string(a.body) != want {
			t.Errorf("%s: got %d %q, %v, want %q", name, a.status, a.body, err, want)
		}
	}
	large := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(large)
	f("empty", http.NoBody, nil)
	f("small", strings.NewReader("a=1"), []byte("a=1"))
	f("1 MiB", strings.NewReader(string(large)), large)
	// The type hides the length from net/http.
	f("small, chunked", io.MultiReader(strings.NewReader("a=1")), []byte("a=1"))
	f("1 MiB, chunked", io.MultiReader(strings.NewReader(string(large))), large)
}

// bigSum is the hash of the fixtures' page big: lines of 64 bytes that count up.
func bigSum(megabytes int) string {
	hash := sha1.New()
	for line := range megabytes << 14 {
		fmt.Fprintf(hash, "%063d\n", line)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (s *site) testLargeResponse(t *testing.T) {
	a, err := s.get("big?mb=8")
	sum := sha1.Sum(a.body)
	if got, want := hex.EncodeToString(sum[:]), bigSum(8); err != nil || got != want {
		t.Errorf("got %d, %d bytes with hash %s, %v, want %d with %s", a.status, len(a.body), got, err, 8<<20, want)
	}
}

// testSpill does not read until the log tells of the temporary file. 32 MB are more than the sockets' buffers hold.
func (s *site) testSpill(t *testing.T) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	page := s.kind.path("big?mb=32")
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", page, s.addr); err != nil {
		t.Fatal(err)
	}

	upstream := s.kind.protocol + `://127\.0\.0\.1:\d+`
	if s.kind.protocol == "http" {
		upstream += regexp.QuoteMeta(page)
	}
	line := regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[warn\] \d+#\d+: \*\d+ ` +
		`an upstream response is buffered to a temporary file (\S+) while reading upstream, client: 127\.0\.0\.1, ` +
		`server: localhost, request: "GET ` + regexp.QuoteMeta(page) + ` HTTP/1\.1", ` +
		`upstream: "` + upstream + `", host: "` + regexp.QuoteMeta(s.addr) + `"$`)
	eventually(t, "the error log tells of a temporary file in nginx's words", func() bool {
		return line.MatchString(s.errorLog())
	})

	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha1.New()
	n, err := io.Copy(hash, resp.Body)
	if got, want := hex.EncodeToString(hash.Sum(nil)), bigSum(32); err != nil || got != want {
		t.Errorf("got %d bytes with hash %s, %v, want %d with %s", n, got, err, 32<<20, want)
	}
	eventually(t, "the temporary file is gone", func() bool { return len(tempFiles(t, s)) == 0 })
}

// tempFiles returns what stands in the folder of the spill files.
func tempFiles(t *testing.T, s *site) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(s.dir, "temp"), func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

func (s *site) testKilledProcesses(t *testing.T) {
	l := s.startLoad(8)
	eventually(t, "all processes answer the load", func() bool { return len(l.answered()) == 8 })

	before := l.answered()
	// Where the process that answers is not the one that spillway has started: one of each.
	victims := []int{s.kind.started(t, before[0]), before[1]}
	for _, pid := range victims {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two new processes answer", func() bool { return len(l.answered()) >= 10 })
	l.end(t)
}

func (s *site) testTerminate(t *testing.T) {
	if n := len(s.processes(t)); n < 8 {
		t.Fatalf("got %d processes, want eight at least", n)
	}
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if status := s.waitEnd(t); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
	if left := s.processes(t); len(left) > 0 {
		t.Errorf("processes %v still run", left)
	}
	if conn, err := net.Dial("tcp", s.addr); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
	if files := tempFiles(t, s); len(files) > 0 {
		t.Errorf("got temporary files %v, want none", files)
	}
}
