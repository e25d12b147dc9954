package upstreamtest

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Wire is the peer's side of a wire language: HTTP, FastCGI, SCGI or UWSGI.
type Wire interface {
	// Name is the language's name as in a configuration.
	Name() string
	// OneShot says that a connection carries one request, and that its end is that of a body of undeclared length.
	OneShot() bool
	// readHead reads a request up to its body; io.EOF means that there is none.
	readHead(r *bufio.Reader) (*Request, error)
	// readBody reads the rest of the request and returns its body.
	readBody(r *bufio.Reader, req *Request) ([]byte, error)
	// head is the beginning of the response; length is what it declares, -1 for none.
	head(req *Request, a *Answer, length int) []byte
	// part is a piece of the body.
	part(req *Request, a *Answer, data []byte) []byte
	// end is what ends the response.
	end(req *Request, a *Answer) []byte
	// stderr is a piece of the standard error; nil where the language has none.
	stderr(req *Request, text string) []byte
	// garbage is what cannot be an answer.
	garbage() []byte
}

// Server is a fake peer.
type Server struct {
	wire     Wire
	handler  func(*Request) Answer
	listener net.Listener
	closing  chan struct{} // closed by Close
	done     sync.WaitGroup

	mu       sync.Mutex // guards all below
	conns    map[net.Conn]bool
	accepted int
	requests []*Request
	closed   bool
}

// NewServer starts a peer that speaks wire and does with each request what handler says; handler is called by one
// goroutine per connection. The server is closed when the test ends.
func NewServer(tb testing.TB, wire Wire, handler func(*Request) Answer) *Server {
	tb.Helper()
	return newServer(tb, wire, handler, "tcp")
}

// newServer is NewServer for a network, tcp or unix.
func newServer(tb testing.TB, wire Wire, handler func(*Request) Answer, network string) *Server {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), network, freeAddress(tb, network))
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{wire: wire, handler: handler, listener: listener, closing: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.done.Add(1)
	go s.accept() // ends when the listener is closed
	tb.Cleanup(s.Close)
	return s
}

// Addr returns host:port.
func (s *Server) Addr() string { return peerAddress(s.listener.Addr()) }

// freeAddress returns an address to listen on.
func freeAddress(tb testing.TB, network string) string {
	tb.Helper()
	if network != "unix" {
		return "127.0.0.1:0"
	}
	dir, err := os.MkdirTemp("", "peer") //nolint:usetesting // a short path: that of a socket has about 100 bytes
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

// peerAddress returns an address as a peer has it.
func peerAddress(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// Requests returns the requests so far, in the order in which they were answered.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Request(nil), s.requests...)
}

// Conns returns how many connections were accepted so far.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Open returns how many connections are open now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// CloseConns closes all connections, as a peer does that is restarted; it goes on listening.
func (s *Server) CloseConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// Close closes the listener and all connections, and waits until nobody works for the server any more. New connections are
// refused from then on.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.CloseConns()
	s.done.Wait()
}

func (s *Server) accept() {
	defer s.done.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			continue
		}
		s.conns[conn] = true
		s.accepted++
		number := s.accepted
		s.done.Add(1)
		s.mu.Unlock()
		go s.serve(conn, number) // ends when either side closes the connection; Close does
	}
}

// serve answers the requests of one connection.
func (s *Server) serve(conn net.Conn, number int) {
	defer s.done.Done()
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	r := bufio.NewReader(conn)
	for sequence := 1; ; sequence++ {
		req, err := s.wire.readHead(r)
		if err != nil {
			return
		}
		req.Conn, req.Sequence = number, sequence
		if !s.answer(conn, r, req) {
			return
		}
	}
}

// answer handles one request; it returns whether the connection stays open.
func (s *Server) answer(conn net.Conn, r *bufio.Reader, req *Request) bool {
	req.read = func() ([]byte, error) { return s.wire.readBody(r, req) }
	a := s.handler(req)
	if a.Fault != EarlyAnswer && a.Fault != EarlyClose {
		req.Body()
	}
	if req.err != nil {
		return false
	}
	s.record(req)
	p := player{conn: conn, wire: s.wire, req: req, answer: &a, closing: s.closing}
	return p.play()
}

func (s *Server) record(req *Request) {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	s.mu.Unlock()
}

// drain reads until the other side closes or Close does.
func drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }
