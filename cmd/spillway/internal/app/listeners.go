package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/downstream"
)

// listener is one socket that clients connect to. It outlives generations: front is what serves at the moment.
type listener struct {
	address string
	client  configs.Client // of the default server, as in nginx
	socket  net.Listener   // until downstream has it
	front   atomic.Pointer[proxy.Front]
	serving *downstream.Listener
	done    chan struct{} // closed when Serve has returned
}

// bind opens all listening sockets, so that a port in use is found before anything is started.
func (a *App) bind() error {
	for _, l := range a.config.Listeners() {
		socket, err := downstream.Listen(l.Address)
		if err != nil {
			return err
		}
		a.listeners = append(a.listeners, &listener{address: l.Address, client: l.Default.Client, socket: socket})
	}
	if a.config.Admin.Address == "" {
		return nil
	}
	socket, err := downstream.Listen(a.config.Admin.Address)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	a.admin = newAdmin(a, socket)
	return nil
}

// serve begins to accept clients.
func (a *App) serve() error {
	for _, l := range a.listeners {
		client := l.client
		serving, err := downstream.New(downstream.Options{
			Listener: l.socket, Name: l.address, Front: l.front.Load, Log: a.log, Scheme: "http",
			HeaderTimeout: time.Duration(client.HeaderTimeout), BodyTimeout: time.Duration(client.BodyTimeout),
			SendTimeout: time.Duration(client.SendTimeout), KeepaliveTimeout: time.Duration(client.KeepaliveTimeout),
			KeepaliveRequests: client.KeepaliveRequests,
		})
		if err != nil {
			return err
		}
		l.serving, l.done = serving, make(chan struct{})
		go a.run(l) // ends with Shutdown, in closeListeners
	}
	if a.admin != nil {
		go a.admin.serve() // ends with close, in stop
	}
	return nil
}

func (a *App) run(l *listener) {
	defer close(l.done)
	if err := l.serving.Serve(); err != nil {
		select {
		case a.failed <- fmt.Errorf("listen %s: %w", l.address, err):
		default: // another listener has told already
		}
	}
}

// closeListeners stops accepting and waits until the running exchanges have ended or ctx has.
func (a *App) closeListeners(ctx context.Context) error {
	errs := make(chan error, len(a.listeners))
	for _, l := range a.listeners {
		go func() { errs <- l.close(ctx) }() // ends with ctx at the latest
	}
	var all error
	for range a.listeners {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (l *listener) close(ctx context.Context) error {
	if l.serving == nil {
		return l.socket.Close()
	}
	err := l.serving.Shutdown(ctx)
	<-l.done
	return err
}

// status returns the listener's counts of clients.
func (l *listener) status() ListenerStatus {
	stats := l.serving.Stats()
	return ListenerStatus{
		Address: l.address, Accepted: stats.Accepted, Active: stats.Active,
		Reading: stats.Reading, Writing: stats.Writing, Waiting: stats.Waiting,
	}
}

// browsable turns a listen address into what one types into a browser on this machine.
func browsable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch {
	case host == "" || host == "0.0.0.0":
		host = "127.0.0.1"
	case host == "::":
		host = "::1"
	}
	return "http://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":80")
}
