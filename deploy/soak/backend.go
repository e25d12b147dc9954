package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"
	"time"
)

// backend is a process that answers orders in a protocol; it ends when it is ended.
func backend(protocol, port string) error {
	var config net.ListenConfig
	ln, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(answer)
	switch protocol {
	case "http":
		server := http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		return server.Serve(ln)
	case "fastcgi":
		return fcgi.Serve(ln, handler)
	case "scgi":
		return serveCGI(ln, readSCGI, handler)
	case "uwsgi":
		return serveCGI(ln, readUWSGI, handler)
	default:
		return fmt.Errorf("backend: unknown protocol %q", protocol)
	}
}

// answer does what an order says.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == healthPath {
		return
	}
	o, err := parseOrder(r.URL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if o.poison {
		die()
	}
	if r.Header.Get("Upgrade") != "" {
		echo(w, o)
		return
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, r.Body); err != nil {
		return // a client that has left, or a body that has not come whole: nobody waits
	}
	if r.Method == http.MethodPost {
		if err := remember(o.id); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	fields := w.Header()
	fields.Set(fieldID, strconv.FormatUint(o.id, 10))
	fields.Set(fieldPID, strconv.Itoa(os.Getpid()))
	fields.Set(fieldBody, hex.EncodeToString(hash.Sum(nil)))
	fields.Set("Content-Type", "text/plain")
	if o.declared {
		fields.Set("Content-Length", strconv.Itoa(o.size))
	}
	pause(o.wait)
	w.WriteHeader(o.status)
	if r.Method == http.MethodHead || o.status == http.StatusNoContent {
		return
	}
	writeBody(w, o)
}

// remember notes a request that must not come a second time, in a file that all processes share; a line is one write.
func remember(id uint64) error {
	name := os.Getenv(postsName)
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, id)
	return errors.Join(err, file.Close())
}

// writeBody writes the pieces of the body. One piece is not flushed, so that a small one leaves together with its head.
func writeBody(w http.ResponseWriter, o *order) {
	body := answerTo(o.id)
	for i := range o.pieces {
		n := o.size / o.pieces
		if i == 0 {
			n += o.size % o.pieces
		} else {
			_ = http.NewResponseController(w).Flush() // the next write would fail as well
			pause(o.wait)
		}
		if _, err := io.CopyN(w, body, int64(n)); err != nil {
			return // the client has left
		}
	}
}

// echo agrees to another protocol, in which everything comes back.
func echo(w http.ResponseWriter, o *order) {
	conn, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %d\r\n%s: %d\r\n\r\n",
		echoProtocol, fieldID, o.id, fieldPID, os.Getpid())
	if err == nil {
		_, _ = io.Copy(conn, bufio.NewReader(both)) // the client sees how it ends
	}
}

// die ends the process the hard way.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // there is nobody left to tell
	}
	select {}
}

// pause waits; a backend is slow by order.
func pause(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
