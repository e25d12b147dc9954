package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/downstream"
	"spillway/proxy/errorlog"
)

// listener is one socket that clients connect to. It outlives generations: front is what serves at the moment.
type listener struct {
	address string
	front   atomic.Pointer[proxy.Front]
	serving *downstream.Listener
	done    chan struct{} // closed when Serve has returned; nil before it is called
}

// bind opens all listening sockets, so that a port in use is found before anything is started.
func (a *App) bind() error {
	for _, l := range a.config.Listeners() {
		if err := a.listen(l); err != nil {
			return err
		}
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

// listen opens a listener; clients that connect wait until serve.
func (a *App) listen(config *configs.Listener) error {
	socket, err := downstream.Listen(config.Address)
	if err != nil {
		return err
	}
	l := &listener{address: config.Address}
	client := &config.Default.Client // as in nginx
	requests := client.KeepaliveRequests
	if client.KeepaliveTimeout == 0 { // no keep-alive; to downstream it would be the default
		requests = 1
	}
	l.serving, err = downstream.New(downstream.Options{
		Listener: socket, Name: l.address, Front: l.front.Load, Log: a.log, Scheme: "http",
		Limits: downstream.Limits{
			HeaderTimeout: time.Duration(client.HeaderTimeout), BodyTimeout: time.Duration(client.BodyTimeout),
			SendTimeout: time.Duration(client.SendTimeout), KeepaliveTimeout: time.Duration(client.KeepaliveTimeout),
			KeepaliveRequests: requests,
		},
	})
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	a.listeners = append(a.listeners, l)
	return nil
}

// serve begins to accept clients.
func (a *App) serve() {
	for _, l := range a.listeners {
		l.done = make(chan struct{})
		go a.run(l) // ends with Shutdown, in closeListeners
	}
}

func (a *App) run(l *listener) {
	defer close(l.done)
	if err := l.serving.Serve(); err != nil {
		a.log.Log(context.Background(), errorlog.LevelAlert, "listener ended", "listener", l.address, "err", err)
		select {
		case a.failed <- fmt.Errorf("listen %s: %w", l.address, err):
		default: // another listener has told already
		}
	}
}

// closeListeners stops accepting and waits until the running exchanges have ended or patience has.
func (a *App) closeListeners(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var closed sync.WaitGroup
	for _, l := range a.listeners {
		closed.Go(func() {
			if err := l.close(ctx); err != nil {
				a.log.Warn("running exchanges were cut", "listener", l.address, "took", patience, "err", err)
			}
		})
	}
	closed.Wait()
}

func (l *listener) close(ctx context.Context) error {
	if l.done == nil { // it has not served: there is nobody to wait for
		return l.serving.Shutdown(context.Background())
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
