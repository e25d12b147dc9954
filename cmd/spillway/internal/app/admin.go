package app

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// admin is the listener of /metrics, /status and /why. It is for the operator, not for clients, so it is the standard library's
// server: readable before fast.
type admin struct {
	address string
	socket  net.Listener
	server  *http.Server
	once    sync.Once
}

func newAdmin(a *App, address string, socket net.Listener) *admin {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) { a.metrics.Handler().ServeHTTP(w, r) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, a.Status()) })
	mux.HandleFunc("GET /why", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, a.Failures()) })
	mux.HandleFunc("GET /why/{id}", func(w http.ResponseWriter, r *http.Request) {
		report, err := a.Why(r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		writeJSON(w, report)
	})
	return &admin{
		address: address, socket: socket,
		server: &http.Server{
			Handler: local(mux), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		},
	}
}

// start begins to answer, unless that was begun before.
func (a *admin) start() {
	a.once.Do(func() {
		go func() { _ = a.server.Serve(a.socket) }() // ends with close
	})
}

// refuse gives the address free, for whoever wants it next; close ends what was accepted.
func (a *admin) refuse() { _ = a.socket.Close() }

// close ends the listener, also before serve has begun, and, after a second, what it is still answering. Shutdown also
// waits for connections on which nothing was asked yet, which browsers keep in store.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	_ = a.socket.Close()
}

// local refuses requests that a foreign page could make a browser send: those whose Host is a name other than localhost
// (DNS rebinding), and those that come from another origin.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		_, notAddress := netip.ParseAddr(strings.Trim(host, "[]"))
		if notAddress != nil && host != "localhost" || r.Header.Get("Origin") != "" {
			http.Error(w, "ask by the address or as localhost", http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(answer)
}
