package app_test

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The processes of the tests are this test binary in another role: an HTTP server that says who it is.

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "be-a-process" {
		beAProcess(os.Args[2], os.Args[3])
		return
	}
	os.Exit(m.Run())
}

// beAProcess serves until it is ended. Its environment says what else it does:
//
//	VERSION   is in each answer
//	REFUSE    it writes this to its standard error and ends
//	AWAIT     it does not listen before this file is there
//	SICK      /health answers 503 when this folder has a file with its pid as its name
func beAProcess(port, number string) {
	if text := os.Getenv("REFUSE"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		os.Exit(7)
	}
	awaitFile(os.Getenv("AWAIT"))
	fmt.Println("process", number, "listens")
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		awaitFile(r.URL.Query().Get("await"))
		w.Header().Set("X-Version", os.Getenv("VERSION"))
		w.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
		fmt.Fprint(w, "process ", number)
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(filepath.Join(os.Getenv("SICK"), strconv.Itoa(os.Getpid()))); err == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("/stuck", func(http.ResponseWriter, *http.Request) { select {} })
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, mux))
}

func awaitFile(name string) {
	for name != "" {
		if _, err := os.Stat(name); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// quoted writes a text as a YAML scalar.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// backend is an upstream with processes of the tests, in YAML.
type backend struct {
	processes int
	number    string // instead of processes, in YAML
	version   string
	env       string // more variables, such as "AWAIT: file"
	keys      string // more keys of the backend
	upstream  string // more keys of the upstream
}

func (b backend) String() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	comma := func(s string) string {
		if s == "" {
			return ""
		}
		return ", " + s
	}
	number := b.number
	if number == "" {
		number = strconv.Itoa(b.processes)
	}
	return fmt.Sprintf("{protocol: http, backend: {command: [%s, be-a-process, '{port}', '{process}'], processes: %s, "+
		"backoff_min: 10ms, env: {VERSION: %s%s}%s}%s}",
		quoted(exe), number, quoted(b.version), comma(b.env), comma(b.keys), comma(b.upstream))
}
