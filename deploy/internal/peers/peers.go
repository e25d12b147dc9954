package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strconv"
)

// Count is spillway's first case: one application in eight processes.
const Count = 8

// Set is a number of listeners that answer every request alike.
type Set struct {
	Addrs     []string
	listeners []net.Listener
}

// Start opens count listeners on free ports; serve is called in a goroutine for each connection, which is closed when
// serve returns. The error that serve returns is dropped: the clients of the proxy see it. The protocol is http or fastcgi.
// Connections that are open when the set is closed end with their client.
func Start(ctx context.Context, protocol string, count int, serve func(*Conn) error) (*Set, error) {
	set := &Set{}
	for range count {
		var config net.ListenConfig
		ln, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			set.Close()
			return nil, err
		}
		set.listeners = append(set.listeners, ln)
		set.Addrs = append(set.Addrs, ln.Addr().String())
		go accept(ln, protocol == "fastcgi", serve) // ends when the listener is closed
	}
	return set, nil
}

// Close closes the listeners.
func (s *Set) Close() {
	for _, ln := range s.listeners {
		_ = ln.Close() // it is not used again
	}
}

func accept(ln net.Listener, fastcgi bool, serve func(*Conn) error) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() { // ends when the proxy closes the connection, or is stopped
			defer conn.Close()
			_ = serve(&Conn{Conn: conn, in: bufio.NewReader(conn), fastcgi: fastcgi, keep: true})
		}()
	}
}

// Conn is a connection from the proxy.
type Conn struct {
	net.Conn

	in      *bufio.Reader
	fastcgi bool
	id      uint16 // of the last request; FastCGI only
	keep    bool
}

// Next reads one request to its end. The error is io.EOF when the proxy has closed the connection instead.
func (c *Conn) Next() error {
	if c.fastcgi {
		return c.nextFastCGI()
	}
	return c.nextHTTP()
}

// nextHTTP reads a head, which ends with an empty line, and a body of the length that it says.
func (c *Conn) nextHTTP() error {
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			_, err := c.in.Discard(length)
			return err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			c.keep = !bytes.EqualFold(value, []byte("close"))
		}
	}
}

// Keep says whether the connection may carry another request.
func (c *Conn) Keep() bool { return c.keep }

// ID is the number of the last request, by which a response is told from that to another one; 0 over HTTP.
func (c *Conn) ID() uint16 { return c.id }

// The parts of FastCGI 1.0 that a responder needs (section 8 of its specification).
const (
	fcgiBeginRequest = 1
	fcgiEndRequest   = 3
	fcgiStdin        = 5
	fcgiStdout       = 6
	fcgiKeepConn     = 1
)

// maxRecord is how much an application puts into one record of standard output.
const maxRecord = 32 << 10

func (c *Conn) nextFastCGI() error {
	var header [8]byte
	for {
		if _, err := io.ReadFull(c.in, header[:]); err != nil {
			return err
		}
		c.id = binary.BigEndian.Uint16(header[2:])
		length, padding := int(binary.BigEndian.Uint16(header[4:])), int(header[6])
		if header[1] == fcgiBeginRequest {
			body, err := c.in.Peek(8)
			if err != nil {
				return err
			}
			c.keep = body[2]&fcgiKeepConn != 0
		}
		if _, err := c.in.Discard(length + padding); err != nil {
			return err
		}
		if header[1] == fcgiStdin && length == 0 {
			return nil
		}
	}
}

// Response is a whole answer to the last request: a body and fields, each of which ends with CRLF. The body is not copied.
func (c *Conn) Response(fields string, body []byte) net.Buffers {
	head := []byte(fields + "Content-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	if c.fastcgi {
		return c.records(head, body)
	}
	return net.Buffers{append([]byte("HTTP/1.1 200 OK\r\n"), head...), body}
}

// records is a CGI response, the end of the output and the end of the request. Head and body begin in one record.
func (c *Conn) records(head, body []byte) net.Buffers {
	var pieces net.Buffers
	record := func(kind byte, content []byte) {
		header := []byte{1, kind, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(header[2:], c.id)
		binary.BigEndian.PutUint16(header[4:], uint16(len(content)))
		pieces = append(pieces, header, content)
	}
	n := min(len(body), maxRecord-len(head))
	record(fcgiStdout, append(head, body[:n]...))
	for piece := range slices.Chunk(body[n:], maxRecord) {
		record(fcgiStdout, piece)
	}
	record(fcgiStdout, nil)
	record(fcgiEndRequest, make([]byte, 8))
	return pieces
}
