package supervisor_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

// The test binary is also the program that the tests supervise. It plays the role that this variable names.
const roleVar = "SUPERVISOR_TEST_ROLE"

// Other variables of the program.
const (
	witnessVar = "SUPERVISOR_TEST_WITNESS" // where to report to
	portVar    = "SUPERVISOR_TEST_PORT"    // where to listen
	numberVar  = "SUPERVISOR_TEST_NUMBER"  // the process's number
	nextVar    = "SUPERVISOR_TEST_NEXT"    // a file that names another role, if it is there; {process} in it is expanded
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	if next, err := os.ReadFile(os.Getenv(nextVar)); err == nil {
		role = string(next)
	}
	os.Exit(play(role))
}

// play is the program. All roles but exit and guard report to the witness and obey its commands.
func play(role string) int {
	if role == "serve-first" && os.Getenv(numberVar) != "1" {
		role = "exit"
	}
	switch role {
	case "exit": // with a few last words
		for i := range 25 {
			fmt.Println("line", i)
		}
		return 3
	case "bystander", "bystander's child": // says that it is there, and ends with its input
		os.Stdout.WriteString("x")
		if role == "bystander" {
			child := inRole("bystander's child")()
			child.Stdin, child.Stdout = os.Stdin, os.Stdout
			must(child.Start())
			defer child.Wait()
		}
		io.Copy(io.Discard, os.Stdin)
		return 0
	case "guard":
		supervisor.RunGuard(os.Stdin)
		return 0
	case "stubborn", "stubborn-parent", "worker":
		signal.Ignore(syscall.SIGTERM, os.Interrupt)
	}
	commands := report(role)
	switch role {
	case "serve", "serve-first", "serve-unhealthy":
		polite := make(chan os.Signal, 1)
		signal.Notify(polite, syscall.SIGTERM, os.Interrupt)
		go func() {
			<-polite
			os.Exit(0)
		}()
	case "master", "stubborn-parent":
		spawn("worker", nil)
	case "flood":
		go flood(os.Stdout, strings.Repeat("x", 64<<10))
		go flood(os.Stderr, strings.Repeat("a short line\n", 100))
	case "parent":
		spawn("grandchild", nil)
	case "escape":
		spawn("grandchild", ownSession())
	case "supervisor":
		supervise()
	case "together":
		must(supervisor.EndTogether())
		fmt.Fprintln(commands, spawn("deaf", suspended()))
	}
	p := &program{commands: commands}
	p.healthy.Store(role != "serve-unhealthy")
	port := os.Getenv(portVar)
	if role == "elsewhere" {
		port = "0"
	}
	if role != "deaf" && role != "grandchild" && role != "worker" && role != "supervisor" && role != "together" {
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		must(err)
		if role == "hasty" { // listens before it loads what it serves, and that is broken
			_, err := ln.Accept()
			must(err)
			return 22
		}
		go http.Serve(ln, p)
	}
	p.obey()
	return 0
}

// report connects to the witness. The connection's end is how the witness learns that the program is gone.
func report(role string) net.Conn {
	conn, err := net.Dial("tcp", os.Getenv(witnessVar))
	must(err)
	fmt.Fprintln(conn, role, os.Getenv(numberVar))
	return conn
}

// spawn starts the program once more and returns its process id.
func spawn(role string, attr *syscall.SysProcAttr) int {
	cmd := exec.Command(os.Args[0])
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	must(cmd.Start())
	return cmd.Process.Pid
}

// flood writes without end.
func flood(to *os.File, block string) {
	for {
		_, err := to.WriteString(block)
		must(err)
	}
}

// supervise is spillway in the tests that kill it: a backend whose processes have started others.
func supervise() {
	must(supervisor.EndTogether())
	guard, err := supervisor.StartGuard(inRole("guard"))
	must(err)
	ports, err := supervisor.FreePorts(2)
	must(err)
	b, err := supervisor.New(supervisor.Options{
		Name: "killed", Command: []string{os.Args[0]}, Processes: supervisor.Count{Min: 2, Max: 2}, Ports: ports, Guard: guard,
		Env: map[string]string{roleVar: "parent", portVar: "{port}", numberVar: "{process}"},
	})
	must(err)
	must(b.Start(background))
	must(b.WaitReady(background, 2))
}

// inRole returns a function that makes a command of the test binary in a role.
func inRole(role string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVar+"="+role)
		return cmd
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

type program struct {
	commands net.Conn
	healthy  atomic.Bool
	eaten    []byte
}

// obey reads commands of the witness and ends with it.
func (p *program) obey() {
	for lines := bufio.NewScanner(p.commands); lines.Scan(); {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "exit":
			code, err := strconv.Atoi(arg)
			must(err)
			os.Exit(code)
		case "print":
			fmt.Println(arg)
		case "complain":
			fmt.Fprintln(os.Stderr, arg)
		case "ask":
			io.WriteString(p.commands, "here\n")
		case "eat": // megabytes
			n, err := strconv.Atoi(arg)
			must(err)
			p.eaten = bytes.Repeat([]byte("x"), n<<20)
		case "recover":
			p.healthy.Store(true)
		}
	}
}

// ServeHTTP says who answers, or that it is not able to and that nobody needs to ask again soon.
func (p *program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/warm") {
		io.WriteString(p.commands, "asked "+r.URL.Path+"\n")
	}
	switch r.URL.Path {
	case "/warm/missing":
		w.WriteHeader(http.StatusNotFound)
		return
	case "/warm/broken":
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if !p.healthy.Load() {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(p.commands, "probed\n")
		return
	}
	json.NewEncoder(w).Encode(self{Number: os.Getenv(numberVar), Args: os.Args[1:], Env: os.Environ()})
}

// self is what the program says of itself.
type self struct {
	Number    string
	Args, Env []string
}

// witness hears from all programs of a test, and notices when they are gone.
type witness struct {
	ln      net.Listener
	reports chan *visitor
}

// visitor is a program that has reported.
type visitor struct {
	role, number string
	conn         net.Conn
	lines        *bufio.Scanner
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{ln: ln, reports: make(chan *visitor, 100)}
	go w.run() // ends with the listener
	t.Cleanup(func() { ln.Close() })
	return w
}

func (w *witness) run() {
	for {
		conn, err := w.ln.Accept()
		if err != nil {
			return
		}
		v := &visitor{conn: conn, lines: bufio.NewScanner(conn)}
		v.lines.Scan()
		v.role, v.number, _ = strings.Cut(v.lines.Text(), " ")
		w.reports <- v
	}
}

// next returns the next program that reports.
func (w *witness) next(t *testing.T) *visitor {
	t.Helper()
	select {
	case v := <-w.reports:
		t.Cleanup(func() { v.conn.Close() }) // ends the program, should the test have failed
		return v
	case <-time.After(patience):
		t.Fatal("no program reported")
		return nil
	}
}

// take returns the next n programs by role and number.
func (w *witness) take(t *testing.T, n int) map[string]*visitor {
	t.Helper()
	all := make(map[string]*visitor)
	for range n {
		v := w.next(t)
		all[v.role+" "+v.number] = v
	}
	return all
}

func (v *visitor) tell(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintln(v.conn, command); err != nil {
		t.Fatalf("tell %s %s: %v", v.role, v.number, err)
	}
}

// awaitGone fails the test when the program does not end.
func (v *visitor) awaitGone(t *testing.T) {
	t.Helper()
	v.conn.SetReadDeadline(time.Now().Add(patience))
	for v.lines.Scan() {
	}
	if err := v.lines.Err(); err != nil && os.IsTimeout(err) {
		t.Errorf("%s %s is still there", v.role, v.number)
	}
}
