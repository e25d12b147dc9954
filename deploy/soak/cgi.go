package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"strconv"
	"strings"
)

// serveCGI answers the requests of a protocol whose requests are CGI's variables and a body, one on each connection.
func serveCGI(ln net.Listener, read func(*bufio.Reader) (map[string]string, error), handler http.Handler) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() { // ends with its request, or with the process
			defer conn.Close()
			in := bufio.NewReader(conn)
			variables, err := read(in)
			if err != nil {
				return // a probe that only connects, or a request that was given up
			}
			request, err := cgi.RequestFromMap(variables)
			if err != nil {
				return
			}
			request.Body = io.NopCloser(io.LimitReader(in, request.ContentLength))
			w := &cgiWriter{out: bufio.NewWriterSize(conn, wholeAnswer), fields: http.Header{}}
			handler.ServeHTTP(w, request)
			w.WriteHeader(http.StatusOK)
			w.Flush()
		}()
	}
}

// errRequest is a request that is not in the protocol.
var errRequest = errors.New("malformed request")

// readSCGI reads a netstring of names and values, each of which ends with a zero.
func readSCGI(in *bufio.Reader) (map[string]string, error) {
	length, err := in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(length, ":"), 10, 20)
	if err != nil {
		return nil, err
	}
	text := make([]byte, n+1) // and a comma
	if _, err := io.ReadFull(in, text); err != nil {
		return nil, err
	}
	parts := strings.Split(string(text[:n]), "\x00")
	if text[n] != ',' || len(parts)%2 != 1 {
		return nil, errRequest
	}
	variables := map[string]string{}
	for i := 0; i+1 < len(parts); i += 2 {
		variables[parts[i]] = parts[i+1]
	}
	return variables, nil
}

// readUWSGI reads a packet: four bytes with the length of the rest, then names and values, each with its length before it.
func readUWSGI(in *bufio.Reader) (map[string]string, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	rest := make([]byte, binary.LittleEndian.Uint16(head[1:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		return nil, err
	}
	text := func() (string, bool) {
		if len(rest) < 2 || len(rest)-2 < int(binary.LittleEndian.Uint16(rest)) {
			return "", false
		}
		end := 2 + int(binary.LittleEndian.Uint16(rest))
		s := string(rest[2:end])
		rest = rest[end:]
		return s, true
	}
	variables := map[string]string{}
	for len(rest) > 0 {
		name, _ := text()
		value, ok := text()
		if !ok {
			return nil, errRequest
		}
		variables[name] = value
	}
	return variables, nil
}

// wholeAnswer is how much of an answer leaves in one write: its end is the end of the connection, which a killed process has,
// too, so that one of undeclared length must not be in parts.
const wholeAnswer = 128 << 10

// cgiWriter writes CGI's answer: fields, the status among them, and a body.
type cgiWriter struct {
	out    *bufio.Writer
	fields http.Header
	began  bool
}

func (w *cgiWriter) Header() http.Header { return w.fields }

func (w *cgiWriter) WriteHeader(status int) {
	if w.began {
		return
	}
	w.began = true
	// What cannot be written is missed by who reads it.
	_, _ = fmt.Fprintf(w.out, "Status: %d %s\r\n", status, http.StatusText(status))
	_ = w.fields.Write(w.out)
	_, _ = w.out.WriteString("\r\n")
}

func (w *cgiWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(b)
}

// Flush sends what was written so far.
func (w *cgiWriter) Flush() { _ = w.out.Flush() }
