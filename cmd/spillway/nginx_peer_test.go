//go:build linux && !race

package main_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A peer answers with scripted bytes, so that it can say what no server would.
type peer struct {
	flags   []string   // of its line in nginx's upstream, as "weight=2"; nginx's and YAML's words are the same
	refuses bool       // nobody listens
	answers []reaction // one for each request, the last for all that follow

	name     string // a, b, ... in the order of the configuration
	addr     string
	protocol string
	journal  *journal
	listener net.Listener

	mu     sync.Mutex // guards both
	conns  int        // since reset
	served int        // since reset
}

// A reaction is what a peer sends, and what it does then.
type reaction struct {
	bytes string
	then  ending
}

// ending is what a peer does after it has answered.
type ending uint8

const (
	keeps  ending = iota // reads the next request
	closes               // closes in order
	resets               // resets the connection
	hangs                // does nothing until the other side closes
)

// journal has what the peers of a place were asked, in order.
type journal struct {
	mu      sync.Mutex
	entries []string
	asked   chan struct{} // has a value when there is a new entry

	closing sync.WaitGroup // connections whose last answer is on its way
}

func (j *journal) add(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry)
	select {
	case j.asked <- struct{}{}:
	default:
	}
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := strings.Join(j.entries, "\n")
	j.entries = nil
	select {
	case <-j.asked:
	default:
	}
	return all
}

// startPeers starts the peers of p.
func (p *place) startPeers(t *testing.T) {
	t.Helper()
	p.journal = &journal{asked: make(chan struct{}, 1)}
	for i, peer := range p.peers {
		peer.name, peer.protocol, peer.journal = string(rune('a'+i)), p.protocol, p.journal
		peer.start(t)
	}
}

// reset makes all peers begin their scripts anew.
func (p *place) reset() {
	for _, peer := range p.peers {
		peer.mu.Lock()
		peer.conns, peer.served = 0, 0
		peer.mu.Unlock()
	}
}

func (p *peer) start(t *testing.T) {
	t.Helper()
	if p.refuses {
		p.addr = heldPort(t)
		return
	}
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.addr = p.listener.Addr().String()
	var running sync.WaitGroup
	t.Cleanup(func() {
		p.listener.Close()
		running.Wait() // the rivals were stopped before
	})
	running.Go(func() { // ends when the listener is closed
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(conn) }) // ends when either side closes the connection
		}
	})
}

// heldPort returns an address at which nobody listens, and that nobody else gets until the test ends.
func heldPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

func (p *peer) serve(conn net.Conn) {
	ends := false
	defer func() {
		conn.Close()
		if ends {
			p.journal.closing.Done()
		}
	}()
	p.mu.Lock()
	p.conns++
	number := p.conns
	p.mu.Unlock()
	r := bufio.NewReader(conn)
	for {
		head, body, err := p.read(r)
		if err != nil {
			return
		}
		a := p.next()
		all, err := body()
		if err != nil {
			p.journal.add(fmt.Sprintf("%s conn %d: %s\nbody cut after %d bytes", p.name, number, head, len(all)))
			return
		}
		p.journal.add(fmt.Sprintf("%s conn %d: %s\nbody: %s", p.name, number, head, shown(all)))
		if a.then == closes || a.then == resets {
			p.journal.closing.Add(1)
			ends = true
		}
		if !a.play(conn) || p.protocol == "fastcgi" && strings.Contains(head, "flags 0") {
			return // without FCGI_KEEP_CONN the application closes (section 5.1), and nginx waits for that
		}
	}
}

// read reads the head of a request, and returns what reads its body.
func (p *peer) read(r *bufio.Reader) (head string, body func() ([]byte, error), err error) {
	switch p.protocol {
	case "fastcgi":
		return readFastCGI(r)
	case "scgi":
		return readSCGI(r)
	case "uwsgi":
		return readUWSGI(r)
	default:
		return readHTTP(r)
	}
}

// next is the answer to the next request.
func (p *peer) next() reaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served++
	return p.answers[min(p.served, len(p.answers))-1]
}

// play sends the answer; it returns whether the connection stays open.
func (a reaction) play(conn net.Conn) bool {
	_, _ = conn.Write([]byte(a.bytes)) // an error shows in what the rival does
	switch a.then {
	case hangs:
		_, _ = io.Copy(io.Discard, conn)
	case resets:
		if tc, ok := conn.(*net.TCPConn); ok {
			_ = tc.SetLinger(0)
		}
	case closes:
	case keeps:
		return true
	}
	return false
}

// shown is a body in a report: a long one is its length and its hash.
func shown(body []byte) string {
	if len(body) <= 256 {
		return strconv.Quote(string(body))
	}
	return fmt.Sprintf("%d bytes, %x", len(body), sha1.Sum(body))
}

// readHTTP reads the head of a request; the fields are sorted by name, those of one name stay in order. The function that
// comes with it reads the body.
func readHTTP(r *bufio.Reader) (head string, body func() ([]byte, error), err error) {
	first, fields, err := readHead(r)
	if err != nil {
		return "", nil, err
	}
	head = first + "\n" + strings.Join(fields, "\n")
	body = func() ([]byte, error) {
		if value(fields, "transfer-encoding") == "chunked" {
			return readChunks(r)
		}
		length, _ := strconv.Atoi(value(fields, "content-length"))
		all := make([]byte, length)
		n, err := io.ReadFull(r, all)
		return all[:n], err
	}
	return head, body, nil
}

// readHead reads lines up to the empty one.
func readHead(r *bufio.Reader) (first string, fields []string, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		switch {
		case !ok:
			return "", nil, errors.New("line without CR LF")
		case first == "":
			first = line
		case line == "":
			slices.SortStableFunc(fields, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
			return first, fields, nil
		default:
			fields = append(fields, line)
		}
	}
}

func fieldName(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return strings.ToLower(name)
}

// value is that of the first field with the name.
func value(fields []string, name string) string {
	for _, f := range fields {
		if fieldName(f) == name {
			return strings.TrimSpace(f[len(name)+1:])
		}
	}
	return ""
}

// readChunks reads a chunked body with the empty line behind it.
func readChunks(r *bufio.Reader) ([]byte, error) {
	body, err := io.ReadAll(httputil.NewChunkedReader(r))
	if err != nil {
		return body, err
	}
	_, err = r.ReadString('\n')
	return body, err
}

// The record types that are used: FastCGI 1.0, section 8.
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
	fcgiStderr = 7
)

// readFastCGI reads a request's variables, sorted by name; those of one name stay in order.
func readFastCGI(r *bufio.Reader) (head string, body func() ([]byte, error), err error) {
	typ, begin, err := readRecord(r)
	if err != nil {
		return "", nil, err
	}
	if typ != fcgiBegin || len(begin) != 8 {
		return "", nil, fmt.Errorf("record %d", typ)
	}
	params, err := readStream(r, fcgiParams)
	if err != nil {
		return "", nil, err
	}
	var vars []string
	for len(params) > 0 {
		var sizes [2]int
		for i := range sizes {
			if params[0] < 0x80 {
				sizes[i], params = int(params[0]), params[1:]
			} else {
				sizes[i], params = int(binary.BigEndian.Uint32(params)&0x7fffffff), params[4:]
			}
		}
		name, rest := params[:sizes[0]], params[sizes[0]:]
		vars = append(vars, string(name)+": "+string(rest[:sizes[1]]))
		params = rest[sizes[1]:]
	}
	slices.SortStableFunc(vars, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
	head = fmt.Sprintf("role %d, flags %d\n%s", begin[1], begin[2], strings.Join(vars, "\n"))
	return head, func() ([]byte, error) { return readStream(r, fcgiStdin) }, nil
}

// readStream reads records of a type up to the empty one.
func readStream(r *bufio.Reader, want byte) ([]byte, error) {
	var all []byte
	for {
		typ, content, err := readRecord(r)
		if err != nil {
			return all, err
		}
		if typ != want {
			return all, fmt.Errorf("record %d, want %d", typ, want)
		}
		if len(content) == 0 {
			return all, nil
		}
		all = append(all, content...)
	}
}

func readRecord(r *bufio.Reader) (typ byte, content []byte, err error) {
	var header [8]byte
	if _, err = io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint16(header[4:]))
	content = make([]byte, length+int(header[6]))
	_, err = io.ReadFull(r, content)
	return header[1], content[:length], err
}

// record makes a record of request 1, which is the number that both rivals use; a long text makes several.
func record(typ byte, text string) string {
	var b bytes.Buffer
	for first := true; first || text != ""; first = false {
		n := min(len(text), 0xffff)
		b.Write([]byte{1, typ, 0, 1, byte(n >> 8), byte(n), 0, 0})
		b.WriteString(text[:n])
		text = text[n:]
	}
	return b.String()
}

// cgi is an answer in FastCGI that ends as it should.
func cgi(text string) string {
	return record(fcgiStdout, text) + record(fcgiStdout, "") + record(fcgiEnd, "\x00\x00\x00\x00\x00\x00\x00\x00")
}
