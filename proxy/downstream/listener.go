package downstream

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"spillway/proxy"
	"spillway/upstream/socket"
)

// Options are the parts of a Listener and the limits that it begins with.
type Options struct {
	Listener net.Listener        // required; the Listener closes it
	Front    func() *proxy.Front // required; asked for each request, so that a reload takes effect with the next one
	Log      *slog.Logger        // required: the error log
	Name     string              // in the log; the default is the address
	TLS      func() *tls.Config  // asked for each connection; nil, or what returns nil: clients speak plain HTTP

	Limits
}

// Limits are what a client may take. They can change while the Listener serves. 0 stands for the default.
type Limits struct {
	HeaderTimeout     time.Duration // for a whole head, from its first byte or, on a new connection, from the accept; 15s
	BodyTimeout       time.Duration // between two reads of a request body; 60s
	SendTimeout       time.Duration // between two writes; 60s
	KeepaliveTimeout  time.Duration // between a response and the next request; 75s
	KeepaliveRequests int           // on one connection; 10000
}

// Listener accepts the clients of one socket and serves their requests.
type Listener struct {
	opts     Options // set by New, read only; for the limits see there
	name     string
	acceptor *socket.Acceptor
	limits   atomic.Pointer[Limits] // immutable, without zeros
	start    time.Time              // the origin of all times

	watchAfter time.Duration
	buffers    sync.Pool // of *[]byte, bufferSize each
	h1s        sync.Pool // of *h1

	clock        atomic.Int64 // now, at the last tick of the sweeper
	serving      atomic.Bool
	leaving      atomic.Bool  // nobody is to come any more
	sealed       atomic.Bool  // nobody can
	leaveAt      atomic.Int64 // when to stop accepting at the latest, once leaving
	draining     atomic.Bool  // nobody is to stay
	connections  atomic.Uint64
	requests     atomic.Uint64
	acceptErrors atomic.Uint64

	// Of the client that was accepted last; who accepts uses it.
	client, here netip.AddrPort // the two ends
	last         addresses      // as they are written

	accepted chan struct{} // closed when Serve accepts nobody any more
	stop     chan struct{} // closed by Shutdown, after that
	empty    chan struct{} // closed when, after that, the last connection is gone

	mu       sync.Mutex // guards all below
	conns    conns
	stopped  bool // stop is closed
	finished bool // empty is closed
}

// Stats are the counters of a Listener.
type Stats struct {
	Accepted     uint64 // connections since the start
	AcceptErrors uint64
	Requests     uint64

	Active  int // connections now, which are the sum of the following; the names are those of nginx's stub_status
	Reading int // the head of a request is being read
	Writing int // a request is being served, or a tunnel
	Waiting int // keep-alive connections without a request

	Tunnels int // of those of Writing
}

const (
	acceptsInTurn = 16 // then those who have connected get their turn

	serverName = "spillway"
	bufferSize = 16 << 10 // of a response that is sent in one write; also the largest a head normally gets
)

// New returns a Listener that accepts when Serve is called.
func New(opts Options) (*Listener, error) {
	if opts.Listener == nil || opts.Front == nil || opts.Log == nil {
		return nil, errors.New("listener: a socket, a front and a log are required")
	}
	if opts.TLS == nil {
		opts.TLS = func() *tls.Config { return nil }
	}
	if opts.Name == "" {
		opts.Name = opts.Listener.Addr().String()
	}
	l := &Listener{
		opts:       opts,
		name:       opts.Name,
		start:      time.Now(),
		acceptor:   socket.NewAcceptor(opts.Listener),
		watchAfter: watchAfter,
		accepted:   make(chan struct{}),
		stop:       make(chan struct{}),
		empty:      make(chan struct{}),
		last:       addresses{remoteAddr: unixAddr, serverAddr: unixAddr},
	}
	l.Update(opts.Limits)
	l.buffers.New = func() any {
		b := make([]byte, 0, bufferSize)
		return &b
	}
	l.h1s.New = func() any { return newH1() }
	return l, nil
}

// Update changes the limits. A wait that has begun ends as it would have; the next one keeps the new limit.
func (l *Listener) Update(limits Limits) {
	limits.setDefaults()
	l.limits.Store(&limits)
}

func (o *Limits) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.HeaderTimeout, 15 * time.Second},
		{&o.BodyTimeout, time.Minute},
		{&o.SendTimeout, time.Minute},
		{&o.KeepaliveTimeout, 75 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.KeepaliveRequests == 0 {
		o.KeepaliveRequests = 10000
	}
}

// Serve accepts and serves clients until Shutdown, then returns nil. It is called once.
func (l *Listener) Serve() error {
	l.clock.Store(l.now()) // New may be long ago
	go l.sweep()           // ends when l.empty is closed, which remove does after a Shutdown
	l.serving.Store(true)
	l.acceptor.Serve(func(t *socket.Task) {
		for n := 1; ; n++ {
			c := l.accept(t)
			if c == nil {
				return
			}
			c.begin()
			if n%acceptsInTurn == 0 {
				t.Yield()
			}
		}
	})
	close(l.accepted)
	l.drain() // for the case that somebody else closed the socket
	return nil
}

// add makes a conn of a socket; nil after Shutdown.
func (l *Listener) add(accepted net.Conn) *conn {
	c := &conn{Socket: socket.Of(accepted), l: l, addresses: l.addressesOf(accepted)}
	c.next = c.turn
	if config := l.opts.TLS(); config != nil {
		c.secure(config)
	}
	c.since.Store(l.clock.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		_ = accepted.Close()
		return nil
	}
	c.id = l.connections.Add(1)
	l.conns.add(c)
	return c
}

func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns.remove(c)
	l.noteEmpty()
}

// Stats returns the counters.
func (l *Listener) Stats() Stats {
	s := Stats{Accepted: l.connections.Load(), AcceptErrors: l.acceptErrors.Load(), Requests: l.requests.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Active = l.conns.count
	for c := range l.conns.all() {
		switch phase(c.phase.Load()) {
		case reading:
			s.Reading++
		case serving, watching:
			s.Writing++
		case upgraded:
			s.Writing++
			s.Tunnels++
		default:
			s.Waiting++
		}
	}
	return s
}

func (l *Listener) takeBuffer() *[]byte {
	b, ok := l.buffers.Get().(*[]byte)
	if !ok {
		panic("downstream: pool of something else")
	}
	return b
}

func (l *Listener) giveBuffer(b *[]byte) { l.buffers.Put(b) }

func (l *Listener) takeH1() *h1 {
	h, ok := l.h1s.Get().(*h1)
	if !ok {
		panic("downstream: pool of something else")
	}
	return h
}
