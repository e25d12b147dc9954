package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Handlers do what the command line asks for. They may be called from several goroutines at once. Their ctx does not end
// with the client: a command that was begun is brought to its end. An error may be a *LinesError.
type Handlers struct {
	Reload  func(ctx context.Context) error
	Reopen  func(ctx context.Context) error
	Restart func(ctx context.Context, upstream string) error // empty: all upstreams
	Quit    func()                                           // begins to drain; does not block
	Stop    func()                                           // ends the exchanges; does not block
	Status  func() any                                       // becomes JSON
	Why     func(id string) (any, error)                     // becomes JSON; without an id the list
}

// Server answers the command line.
type Server struct {
	socket   *socket
	identity Identity
	http     *http.Server

	ended  chan struct{} // closed with Close
	ending Ending        // valid after ended

	mu        sync.Mutex // guards closed, and that answering grows
	closed    bool
	answering sync.WaitGroup // requests whose answer is not on its way yet
}

// The bounds of what a client can occupy. Only accounts that may stop spillway get in, so they are for mistakes.
const (
	maxClients    = 64
	maxHead       = 8 << 10
	maxBody       = 16 << 10
	clientTimeout = 5 * time.Second // for a whole request, and between two requests
)

// Listen makes sure that this is the only instance for the place, and opens the socket; nobody is answered before Serve.
// The error is a *RunningError when there is an instance already. ctx bounds the search for it.
func Listen(ctx context.Context, p Place, id Identity) (*Server, error) {
	id.Path = p.Path
	// The lock alone does not see an instance that has its socket in another folder.
	ask, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	if client, err := Find(ask, p); err == nil {
		defer client.Close()
		return nil, &RunningError{client.Identity}
	}
	socket, err := listen(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return &Server{socket: socket, identity: id, ended: make(chan struct{})}, nil
}

// Serve begins to answer, and returns.
func (s *Server) Serve(h Handlers) {
	mux := http.NewServeMux()
	handle := func(pattern string, answer http.HandlerFunc) { mux.Handle(pattern, s.counting(answer)) }
	handle("GET /identity", func(w http.ResponseWriter, _ *http.Request) { write(w, s.identity) })
	handle("GET /status", func(w http.ResponseWriter, _ *http.Request) { write(w, h.Status()) })
	why := func(w http.ResponseWriter, r *http.Request) {
		known, err := h.Why(r.PathValue("id"))
		if err != nil {
			answer(w, err)
			return
		}
		write(w, known)
	}
	handle("GET /why", why)
	handle("GET /why/{id}", why)
	handle("POST /reload", func(w http.ResponseWriter, r *http.Request) { answer(w, h.Reload(lasting(r))) })
	handle("POST /reopen", func(w http.ResponseWriter, r *http.Request) { answer(w, h.Reopen(lasting(r))) })
	handle("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		var asked restartRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, h.Restart(lasting(r), asked.Upstream))
	})
	mux.Handle("POST /quit", s.end(h.Quit))
	mux.Handle("POST /stop", s.end(h.Stop))
	s.http = &http.Server{
		Handler: whole(mux), ReadHeaderTimeout: clientTimeout, IdleTimeout: clientTimeout, MaxHeaderBytes: maxHead,
	}
	// The socket's own listener: net/http closes what it is given, and the lock is not its to give back.
	listener := &bounded{Listener: s.socket.Listener, free: make(chan struct{}, maxClients)}
	go func() { _ = s.http.Serve(listener) }() // ends with Close
}

// farewell bounds how long answers may take at the end; they are short, so only who does not read is in want of it.
const farewell = time.Second

// Close lets the answers out, tells those who wait for the end how it was, and gives the lock back. It is the last thing that
// an instance does: their connections stay open until the process has ended, which is how they see that it is gone. Once is
// enough.
func (s *Server) Close(e Ending) error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.ending = e
	close(s.ended)
	told := make(chan struct{})
	go func() { // ends with the last answer, or with the process
		s.answering.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(farewell):
	}
	return s.socket.Close()
}

// enter counts a request, unless it comes too late.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.answering.Add(1)
	return true
}

// counting lets Close wait until the answer is on its way.
func (s *Server) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			http.Error(w, "it has ended", http.StatusServiceUnavailable)
			return
		}
		defer s.answering.Done()
		defer func() { _ = http.NewResponseController(w).Flush() }()
		next.ServeHTTP(w, r)
	})
}

// end begins the end, and tells about it when it has come.
func (s *Server) end(begin func()) http.Handler {
	tell := s.counting(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		begin()
		select {
		case <-s.ended:
			_ = json.NewEncoder(w).Encode(s.ending)
		case <-r.Context().Done():
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell.ServeHTTP(w, r)
		<-r.Context().Done() // the client is gone, or we are
	})
}

// whole reads the body of a request before the request is handled, within limits of size and time.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(clientTimeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "the body: "+err.Error(), http.StatusBadRequest)
			return
		}
		_ = connection.SetReadDeadline(time.Time{}) // a command may take long
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// lasting returns a context that does not end with the client.
func lasting(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// answer says how a command ended.
func answer(w http.ResponseWriter, err error) {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(w).Encode(failure(err))
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// bounded is a listener with at most so many connections at once as free has room for. One more is closed at once: it must
// not wait behind those that hang.
type bounded struct {
	net.Listener

	free chan struct{} // holds one value for each connection
}

// Accept returns the next connection.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.free <- struct{}{}:
			return &counted{Conn: conn, free: b.free}, nil
		default:
			_ = conn.Close()
		}
	}
}

// counted is a connection of a bounded listener.
type counted struct {
	net.Conn

	free chan struct{}
	once sync.Once
}

// Close makes room for another one.
func (c *counted) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
