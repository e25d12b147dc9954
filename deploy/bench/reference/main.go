// Command reference is a proxy of the standard library alone, to compare with: net/http's server, httputil's ReverseProxy, kept
// connections to the peers, which have their turns one after the other, and an access log.
//
//	reference -c FILE
//
// It queues nothing, holds no body for a slow client, tries no other peer and has one timeout. What it costs is what net/http
// costs.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A config is the file that -c names.
type config struct {
	Addr  string
	Peers []string
	Conns int    // that are kept to each peer at most
	Log   string // file of the access log; empty: there is none
}

func main() {
	log.SetFlags(0)
	file := flag.String("c", "", "file with the configuration")
	flag.Parse()
	if err := run(*file); err != nil {
		log.Fatal("reference: ", err)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	handler, closeLog, err := c.handler()
	if err != nil {
		return err
	}
	server := &http.Server{Addr: c.Addr, Handler: handler, ReadHeaderTimeout: time.Minute}
	return errors.Join(server.ListenAndServe(), closeLog())
}

// handler is the proxy with its access log, which the caller closes.
func (c *config) handler() (http.Handler, func() error, error) {
	if len(c.Peers) == 0 {
		return nil, nil, errors.New("no peers")
	}
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: c.Peers[turn.Add(1)%uint64(len(c.Peers))]})
			r.SetXForwarded()
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: c.Conns, DisableCompression: true},
		BufferPool: &buffers{},
	}
	if c.Log == "" {
		return proxy, func() error { return nil }, nil
	}
	file, err := os.Create(c.Log)
	if err != nil {
		return nil, nil, err
	}
	l := &logged{next: proxy, out: bufio.NewWriterSize(file, 64<<10)}
	return l, func() error { return errors.Join(l.out.Flush(), file.Close()) }, nil
}

// buffers are those through which ReverseProxy copies bodies; their size is the one that it would take itself.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put takes it back.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// logged writes a line in the combined format for each request. Lines go to the file when there are 64 KB of them.
type logged struct {
	next http.Handler

	mu  sync.Mutex // guards out
	out *bufio.Writer
}

// ServeHTTP answers a request and writes its line.
func (l *logged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &counted{ResponseWriter: w, status: http.StatusOK}
	l.next.ServeHTTP(c, r)
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	l.mu.Lock()
	defer l.mu.Unlock()
	// An error of the file is the writer's until closeLog.
	_, _ = fmt.Fprintf(l.out, "%s - - [%s] \"%s %s %s\" %d %d %q %q\n", host, time.Now().Format("02/Jan/2006:15:04:05 -0700"),
		r.Method, r.RequestURI, r.Proto, c.status, c.bytes, orDash(r.Referer()), orDash(r.UserAgent()))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// counted knows what has been answered.
type counted struct {
	http.ResponseWriter

	status, bytes int
}

// WriteHeader notes the status.
func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write counts bytes of the body.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += n
	return n, err
}
