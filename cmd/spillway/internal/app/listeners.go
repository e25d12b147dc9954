package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/downstream"
	"spillway/proxy/errorlog"
	"spillway/proxy/metrics"
	"spillway/upstream/host"
)

// listener is one socket that clients connect to. It outlives generations: front and secure are what serves at the moment.
type listener struct {
	address string
	front   atomic.Pointer[proxy.Front]
	secure  atomic.Pointer[tls.Config] // nil: clients speak plain HTTP
	serving *downstream.Listener
	done    chan struct{} // closed when Serve has returned; nil before it is called
}

// bind opens the listening sockets that the generation before has not, so that a port in use is found before anything is
// started.
func (a *App) bind(p *plan) error {
	limits := p.next.limits()
	for _, config := range p.next.config.Listeners() {
		l := p.prev.listener(config.Address)
		if l == nil {
			var err error
			if l, err = a.listen(config.Address, limits[config.Address]); err != nil {
				return err
			}
		}
		p.next.listeners = append(p.next.listeners, l)
	}
	address := p.next.config.Admin.Address
	if address == "" {
		return nil
	}
	if p.prev.admin != nil && p.prev.admin.address == address {
		p.next.admin = p.prev.admin
		return nil
	}
	socket, err := a.openSocket(address)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	p.next.admin = newAdmin(a, address, socket)
	return nil
}

// listen opens a listener; clients that connect wait until accept.
func (a *App) listen(address string, limits downstream.Limits) (*listener, error) {
	socket, err := a.openSocket(address)
	if err != nil {
		return nil, err
	}
	l := &listener{address: address}
	l.serving, err = downstream.New(downstream.Options{
		Listener: socket, Name: l.address, Front: l.front.Load, TLS: l.secure.Load, Log: a.log, Limits: limits,
	})
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return l, nil
}

// leaveTime bounds the wait for the socket of a former listener, which lets those in who have connected already: more than
// that takes, see downstream.Listener.StopAccepting.
const leaveTime = 2 * time.Second

// openSocket is downstream.Listen for all our sockets. A former listener may have the address for a moment.
func (a *App) openSocket(address string) (net.Listener, error) {
	for deadline := time.Now().Add(leaveTime); time.Now().Before(deadline); <-time.After(leaveTime / 200) {
		isLeaving := a.leaving.Load() > 0 // before the question whose answer depends on it
		socket, err := downstream.Listen(address)
		if err == nil {
			return socket, nil
		}
		if !isLeaving {
			break
		}
	}
	return downstream.ListenNaming(address, portOwner) // to find out who it is takes its time
}

// portOwner names who listens on a port.
func portOwner(port int) string {
	owner, err := host.Owner(port)
	switch {
	case err != nil:
		return ""
	case owner.PID == os.Getpid():
		return "spillway itself, for another address,"
	default:
		return owner.String()
	}
}

// limits are what the clients of each listener may do: as in nginx, its default server says so.
func (g *generation) limits() map[string]downstream.Limits {
	all := map[string]downstream.Limits{}
	for _, l := range g.config.Listeners() {
		all[l.Address] = newClientLimits(&l.Default.Client)
	}
	return all
}

func newClientLimits(client *configs.Client) downstream.Limits {
	limits := downstream.Limits{
		HeaderTimeout: time.Duration(client.HeaderTimeout), BodyTimeout: time.Duration(client.BodyTimeout),
		SendTimeout: time.Duration(client.SendTimeout), KeepaliveTimeout: time.Duration(client.KeepaliveTimeout),
		KeepaliveRequests: client.KeepaliveRequests,
	}
	if client.KeepaliveTimeout == 0 { // no keep-alive; to downstream it would be the default
		limits.KeepaliveRequests = 1
	}
	return limits
}

// accept begins to serve clients, unless that was begun before.
func (a *App) accept(l *listener) {
	if l.done == nil {
		l.done = make(chan struct{})
		go a.run(l) // ends with Shutdown, in close
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

// closeNew closes the sockets of a generation that never served.
func (a *App) closeNew(p *plan) {
	for _, l := range p.next.listeners {
		if p.prev.listener(l.address) != l {
			_, _ = l.close(context.Background()) // nobody was let in
		}
	}
	if p.next.admin != nil && p.next.admin != p.prev.admin {
		p.next.admin.close()
	}
}

// leave closes the sockets of former listeners; what was accepted goes on until closeListeners.
func (a *App) leave(ctx context.Context, listeners []*listener) {
	var left sync.WaitGroup
	for _, l := range listeners {
		left.Go(func() {
			if err := l.serving.StopAccepting(ctx); err != nil {
				a.log.Warn("listener not closed", "listener", l.address, "err", err)
			}
			a.leaving.Add(-1)
		})
	}
	left.Wait()
}

// closeListeners stops accepting and waits until the running exchanges have ended or ctx has.
func (a *App) closeListeners(ctx context.Context, listeners []*listener) {
	began := time.Now()
	var closed sync.WaitGroup
	for _, l := range listeners {
		closed.Go(func() {
			cut, err := l.close(ctx)
			if err != nil {
				a.log.Warn("running exchanges were cut", "listener", l.address, "requests", cut.requests(), "tunnels", cut.tunnels,
					"took", time.Since(began).Round(time.Millisecond), "err", whyCut(err))
			}
			a.closed.cut.Add(int64(cut.all))
			a.closed.add(l.serving.Stats())
		})
	}
	closed.Wait()
}

// cut are exchanges that did not get to their end.
type cut struct{ all, tunnels int }

func (c cut) requests() int { return c.all - c.tunnels }

// whyCut says why the patience for running exchanges has ended.
func whyCut(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "shutdown_timeout is over"
	}
	return "told to end at once"
}

// close stops accepting and waits for the running exchanges; when ctx ends they are cut, and counted before that.
func (l *listener) close(ctx context.Context) (cut, error) {
	if l.done == nil { // it has not served: there is nobody to wait for
		return cut{}, l.serving.Shutdown(context.Background())
	}
	patience, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	var running atomic.Pointer[cut]
	running.Store(&cut{})
	defer context.AfterFunc(ctx, func() {
		stats := l.serving.Stats()
		running.Store(&cut{all: stats.Reading + stats.Writing, tunnels: stats.Tunnels})
		giveUp()
	})()
	err := l.serving.Shutdown(patience)
	<-l.done
	if errors.Is(err, context.Canceled) {
		return *running.Load(), ctx.Err()
	}
	return cut{}, err
}

// totals are the counts of listeners that are closed: a sum that only goes up must not lose them.
type totals struct {
	accepted, requests, acceptErrors atomic.Uint64

	cut atomic.Int64 // exchanges that did not get to their end
}

func (t *totals) add(s downstream.Stats) {
	t.accepted.Add(s.Accepted)
	t.requests.Add(s.Requests)
	t.acceptErrors.Add(s.AcceptErrors)
}

// Cut returns how many exchanges were cut because a listener was closed, by Stop, Kill or a reload.
func (a *App) Cut() int { return int(a.closed.cut.Load()) }

// connections returns the numbers of nginx's stub_status for all listeners together.
func (a *App) connections() metrics.Nginx {
	all := metrics.Nginx{Accepted: a.closed.accepted.Load(), Requests: a.closed.requests.Load()}
	for _, l := range a.generation().listeners {
		s := l.serving.Stats()
		all.Accepted += s.Accepted
		all.Requests += s.Requests
		all.Active += int64(s.Active)
		all.Reading += int64(s.Reading)
		all.Writing += int64(s.Writing)
		all.Waiting += int64(s.Waiting)
	}
	all.Handled = all.Accepted
	return all
}

func (a *App) acceptErrors() float64 {
	total := a.closed.acceptErrors.Load()
	for _, l := range a.generation().listeners {
		total += l.serving.Stats().AcceptErrors
	}
	return float64(total)
}

// status returns the listener's counts of clients.
func (l *listener) status() ListenerStatus {
	stats := l.serving.Stats()
	return ListenerStatus{
		Address: l.address, TLS: l.secure.Load() != nil, Accepted: stats.Accepted, Active: stats.Active,
		Reading: stats.Reading, Writing: stats.Writing, Waiting: stats.Waiting,
	}
}
