package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
)

// peerCount is spillway's first case: one application in eight processes.
const peerCount = 8

// bodySize is that of the small answers of an application, where a proxy's own work weighs most.
const bodySize = 1024

// A peerSet is a number of listeners that answer every request alike.
type peerSet struct {
	addrs     []string
	listeners []net.Listener
}

// startPeers opens count listeners on free ports. Connections that are open when the set is closed end with their client.
func startPeers(ctx context.Context, protocol string, count int) (*peerSet, error) {
	answer := answerHTTP
	if protocol == "fastcgi" {
		answer = answerFastCGI
	}
	set := &peerSet{}
	for range count {
		var config net.ListenConfig
		ln, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			set.close()
			return nil, err
		}
		set.listeners = append(set.listeners, ln)
		set.addrs = append(set.addrs, ln.Addr().String())
		go accept(ln, answer) // ends when the listener is closed
	}
	return set, nil
}

func (s *peerSet) close() {
	for _, ln := range s.listeners {
		_ = ln.Close() // it is not used again
	}
}

func accept(ln net.Listener, answer func(net.Conn) error) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() { // ends when the proxy closes the connection, or is stopped
			defer conn.Close()
			// The proxy's view of an error is what counts here: the load sees it.
			_ = answer(conn)
		}()
	}
}

// answerHTTP answers requests without a body, each in one write.
func answerHTTP(conn net.Conn) error {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(bodySize) +
		"\r\n\r\n" + strings.Repeat("x", bodySize))
	in := bufio.NewReader(conn)
	for {
		// A head ends with an empty line.
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
		}
		if _, err := conn.Write(response); err != nil {
			return err
		}
	}
}

// The parts of FastCGI 1.0 that a responder needs (section 8 of its specification).
const (
	fcgiBeginRequest = 1
	fcgiEndRequest   = 3
	fcgiStdin        = 5
	fcgiStdout       = 6
	fcgiKeepConn     = 1
)

// answerFastCGI answers one request at a time on a connection, each in one write, and keeps it open when asked to.
func answerFastCGI(conn net.Conn) error {
	in := bufio.NewReader(conn)
	var header [8]byte
	keep := false
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		id := binary.BigEndian.Uint16(header[2:])
		length, padding := int(binary.BigEndian.Uint16(header[4:])), int(header[6])
		switch kind := header[1]; {
		case kind == fcgiBeginRequest:
			body, err := in.Peek(8)
			if err != nil {
				return err
			}
			keep = body[2]&fcgiKeepConn != 0
		case kind == fcgiStdin && length == 0:
			if _, err := conn.Write(fcgiResponse(id)); err != nil {
				return err
			}
			if !keep {
				return nil
			}
		}
		if _, err := in.Discard(length + padding); err != nil {
			return err
		}
	}
}

// fcgiResponse is the whole answer: a CGI response in one record, the end of the output, the end of the request.
func fcgiResponse(id uint16) []byte {
	content := "Content-Type: text/plain\r\nContent-Length: " + strconv.Itoa(bodySize) + "\r\n\r\n" + strings.Repeat("x", bodySize)
	var out bytes.Buffer
	record := func(kind byte, content string) {
		out.Write([]byte{1, kind})
		out.Write(binary.BigEndian.AppendUint16(nil, id))
		out.Write(binary.BigEndian.AppendUint16(nil, uint16(len(content))))
		out.Write([]byte{0, 0})
		out.WriteString(content)
	}
	record(fcgiStdout, content)
	record(fcgiStdout, "")
	record(fcgiEndRequest, string(make([]byte, 8)))
	return out.Bytes()
}

// freeAddr finds a port for a proxy. Another process may take it before the proxy does; then the proxy does not start.
func freeAddr(ctx context.Context) (string, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
