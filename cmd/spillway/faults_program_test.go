//go:build linux && !race

package main_test

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/upstream/porttest"
)

// The processes of the tests of faults are this test binary in another role: HTTP servers that do what the file "how" in
// their folder says at their start. A test writes it anew, and the next processes do something else.
const (
	faultyRole = "be-a-faulty-process"
	childRole  = "child" // of a stubborn process

	serveWell     = "serve"
	exitAtOnce    = "exit"           // with last words
	exitSilently  = "exit silently"  // with code 7, too
	neverListen   = "never listen"   //
	listenWrong   = "listen wrong"   // on a port that nobody has asked for
	beStubborn    = "be stubborn"    // and have a child that is no better and has the port, too
	warmUpBadly   = "warm up badly"  // /warm is answered with 503
	listenLater   = "listen later"   // when the file "go" is there
	writeTooMuch  = "write too much" // without newlines to stdout, with them to stderr; then it makes the file "written"
	faultyHello   = "hello from a process\n"
	faultySize    = 100 << 20 // bytes that writeTooMuch writes without a newline
	lastComplaint = "no database at 10.0.0.5"
)

func beFaulty(args []string) {
	if args[0] == childRole {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		select {}
	}
	how, _ := os.ReadFile("how") // without it all is well
	port := args[0]
	switch string(how) {
	case exitAtOnce:
		fmt.Fprintln(os.Stderr, lastComplaint)
		os.Exit(7)
	case exitSilently:
		os.Exit(7)
	case neverListen:
		select {}
	case listenWrong:
		port = "0"
	case beStubborn:
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	case listenLater:
		awaitFile("go")
	case writeTooMuch:
		go writeALot() // ends by itself
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	if string(how) == beStubborn {
		haveAChild(listener)
	}
	log.Fatal(http.Serve(listener, faultyPages(string(how))))
}

// haveAChild starts a process that has the port, too, as the workers of gunicorn have.
func haveAChild(listener net.Listener) {
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		log.Fatal(err)
	}
	child := exec.Command(os.Args[0], faultyRole, childRole)
	child.ExtraFiles = []*os.File{socket}
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
}

func faultyPages(how string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
		fmt.Fprint(w, faultyHello)
	})
	mux.HandleFunc("/stuck", func(http.ResponseWriter, *http.Request) { select {} })
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  KeyError: 'x'")
		os.Exit(3)
	})
	mux.HandleFunc("/close", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(os.Stderr, "Internal Server Error: /broken")
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("/await", func(_ http.ResponseWriter, r *http.Request) { awaitFile(r.URL.Query().Get("file")) })
	mux.HandleFunc("/warm", func(w http.ResponseWriter, _ *http.Request) {
		if how == warmUpBadly {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	var eaten []byte
	mux.HandleFunc("/eat", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
		eaten = bytes.Repeat([]byte("x"), 200<<20)
		fmt.Fprintln(w, len(eaten))
	})
	return mux
}

func awaitFile(name string) {
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

func writeALot() {
	block := bytes.Repeat([]byte("x"), 64<<10)
	for range faultySize / len(block) {
		if _, err := os.Stdout.Write(block); err != nil {
			log.Fatal(err)
		}
	}
	for i := range 5000 {
		fmt.Fprintln(os.Stderr, "line", i)
	}
	if err := os.WriteFile("written", nil, 0o600); err != nil {
		log.Fatal(err)
	}
}

// A faulty describes an upstream with processes of that kind.
type faulty struct {
	processes string // "" is 1
	backend   string // further keys of the backend, such as "max_age: 1s"
	upstream  string // further keys of the upstream
	more      string // further keys of the configuration
	how       string // what its first processes do
}

func (f faulty) config(t *testing.T, addr, admin string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if f.processes == "" {
		f.processes = "1"
	}
	return fmt.Sprintf(`
listen: [%q]
admin: {listen: %q}
error_log: {path: logs/error.log, level: notice}
%s
upstreams:
  app:
    protocol: http
    %s
    backend:
      command: [%s, %s, "{port}", "{process}"]
      processes: %s
      backoff_min: 10ms
      backoff_max: 100ms
      %s
`, addr, admin, f.more, f.upstream, quoted(exe), faultyRole, f.processes, f.backend)
}

// startFaulty starts the program before such processes.
func startFaulty(t *testing.T, f faulty) (s *site, admin string) {
	t.Helper()
	dir, addr, admin := t.TempDir(), porttest.Address(t), porttest.Address(t)
	if f.how != "" {
		put(t, dir, "how", f.how)
	}
	s = startProgram(t, dir, addr, f.config(t, addr, admin))
	s.kind = kind{name: "faulty", hello: faultyHello}
	return s, admin
}

// servingFaulty waits until it serves and all its processes are ready.
func servingFaulty(t *testing.T, f faulty) (s *site, admin string) {
	t.Helper()
	s, admin = startFaulty(t, f)
	s.awaitHello(t)
	want := 1
	if n, err := strconv.Atoi(f.processes); err == nil {
		want = n
	}
	eventually(t, "all processes are ready", func() bool { return len(readyPIDs(t, admin)) == want })
	return s, admin
}

// readyPIDs are the processes that are ready, in the order of the ports.
func readyPIDs(t *testing.T, admin string) []int {
	t.Helper()
	pids := []int{}
	for _, p := range peers(t, admin) {
		if p.Process != nil && p.Process.State == "ready" {
			pids = append(pids, p.Process.PID)
		}
	}
	return pids
}

// put writes a file of the site whole: nobody reads half of it.
func put(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// logged waits for a line of this level in the error log, in nginx's form, and returns its text.
func (s *site) logged(t *testing.T, level, pattern string) string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[` + level + `\] \d+#\d+: (?:\*\d+ )?(` + pattern + `)$`)
	var found []string
	eventually(t, "the error log has "+pattern, func() bool {
		found = line.FindStringSubmatch(s.errorLog())
		return found != nil
	})
	return found[1]
}

// wantHello asks once.
func (s *site) wantHello(t *testing.T) answer {
	t.Helper()
	a, err := s.get("hello")
	if err != nil || a.status != http.StatusOK || string(a.body) != faultyHello {
		t.Errorf("got %d %q, %v, want 200", a.status, a.body, err)
	}
	return a
}

// gone waits until none of the processes is there any more.
func gone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " Z")
		})
	}
}

func kill(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

// ports returns free ports as a list in YAML and as numbers.
func ports(t *testing.T, n int) (list string, numbers []int) {
	t.Helper()
	var texts []string
	for range n {
		_, port, err := net.SplitHostPort(porttest.Address(t))
		if err != nil {
			t.Fatal(err)
		}
		number, _ := strconv.Atoi(port)
		texts, numbers = append(texts, port), append(numbers, number)
	}
	return "[" + strings.Join(texts, ", ") + "]", numbers
}
