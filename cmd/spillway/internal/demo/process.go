package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"
	"time"
)

// Serve is one demo process: a FastCGI server on 127.0.0.1 at the given port. It returns when listening fails. number is
// the number of the process among its like, for the page.
func Serve(port, number string) error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	return fcgi.Serve(listener, handler(port, number))
}

// handler is the demo's application.
func handler(port, number string) http.Handler {
	mux := http.NewServeMux()
	self := facts{Number: number, Port: port, PID: os.Getpid(), Started: time.Now()}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Demo-Process", number)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, self)
	})
	mux.HandleFunc("GET /big", big)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /stderr", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(os.Stderr, "a line that demo process", number, "wrote to its standard error")
		_, _ = io.WriteString(w, "see the error log\n")
	})
	mux.HandleFunc("GET /crash", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(os.Stderr, "demo process", number, "was asked to crash")
		_, _ = fmt.Fprintln(w, "process", number, "ends now; the error log says how")
		time.AfterFunc(crashDelay, crash)
	})
	return mux
}

// crashDelay lets the answer of /crash out: a request that is cut off would be tried, and crash, on the next process.
const crashDelay = 100 * time.Millisecond

// crash ends the process at once, whatever it is doing.
func crash() { os.Exit(3) }

// most is the largest answer of big in MiB.
const most = 1024

// big answers with ?mb= mebibytes of text.
func big(w http.ResponseWriter, r *http.Request) {
	mb, err := strconv.Atoi(r.URL.Query().Get("mb"))
	if err != nil || mb < 1 || mb > most {
		http.Error(w, fmt.Sprintf("ask for /big?mb=20, with 1 to %d", most), http.StatusBadRequest)
		return
	}
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = "spillway "[i%9]
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(mb<<20))
	for range mb {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// events sends a server-sent event each half second, ten in all: they arrive one by one.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := range 10 {
		_, _ = fmt.Fprintf(w, "data: %d\n\n", i+1)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// echo answers a POST with the length and the SHA-256 of its body.
func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%d %s\n", n, hex.EncodeToString(sum.Sum(nil)))
}

// facts are what the page says of its process.
type facts struct {
	Number, Port string
	PID          int
	Started      time.Time
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>spillway</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}
b{font-size:2.5rem}code{background:#eee;padding:.1rem .3rem}</style></head><body>
<p>This page comes from</p>
<p><b>process {{.Number}}</b> of eight, pid {{.PID}}, on port {{.Port}}, started {{.Started.Format "15:04:05"}}.</p>
<p>Reload it: the next process answers. spillway started the eight, speaks FastCGI to them, and would start one that dies
anew.</p>
<ul>
<li><a href="/big?mb=20">/big?mb=20</a>: 20 MiB. Fetched slowly, it goes to disk, and the log says so:
<code>curl --limit-rate 1M -o big "http://127.0.0.1:8080/big?mb=20"</code></li>
<li><a href="/events">/events</a>: server-sent events, one each half second</li>
<li><a href="/stderr">/stderr</a>: a line in the error log</li>
<li><a href="/crash">/crash</a>: this process ends; the log says how, and a new one takes its place</li>
<li><a href="http://127.0.0.1:9180/status">/status</a> and <a href="http://127.0.0.1:9180/metrics">/metrics</a> of
spillway itself</li>
</ul>
<p>To go on with your own application, write a <code>spillway.yaml</code> of ten lines: see the README.</p>
</body></html>
`))
