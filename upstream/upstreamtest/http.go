package upstreamtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// HTTP is HTTP/1.1 (RFC 9112).
type HTTP struct{}

// Name returns "http".
func (HTTP) Name() string { return "http" }

// OneShot returns false: a connection may be kept, and the end of a body is marked.
func (HTTP) OneShot() bool { return false }

func (HTTP) readHead(r *bufio.Reader) (*Request, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" {
		return nil, fmt.Errorf("request line %q", line)
	}
	req := &Request{Method: parts[0], Target: parts[1], KeepAlive: true}
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			return req, nil
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("field line %q", line)
		}
		req.Header = append(req.Header, Field{Name: name, Value: value})
		switch strings.ToLower(name) {
		case "content-length":
			if req.length, err = strconv.Atoi(value); err != nil {
				return nil, err
			}
		case "transfer-encoding":
			req.length = -1
		case "connection":
			req.KeepAlive = value != "close"
		}
	}
}

// readLine reads a line that ends with CRLF, and no other.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", errors.New("line without CRLF")
	}
	return line, nil
}

func (HTTP) readBody(r *bufio.Reader, req *Request) ([]byte, error) {
	if req.length >= 0 {
		body := make([]byte, req.length)
		_, err := io.ReadFull(r, body)
		return body, err
	}
	var body []byte
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(line, 16, 32)
		if err != nil {
			return nil, err
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, err
		}
		if line, err = readLine(r); err != nil || line != "" {
			return nil, errors.Join(err, errors.New("chunk not ended"))
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, chunk...)
	}
}

func (HTTP) head(req *Request, a *Answer, length int) []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %d Status\r\n", status(a))
	for _, f := range a.Header {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	switch {
	case status(a) == 204 || status(a) == 304:
	case length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		b = fmt.Appendf(b, "Content-Length: %d\r\n", length)
	}
	if !req.KeepAlive || a.Fault == EarlyAnswer || a.Fault == EarlyClose {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

func status(a *Answer) int {
	if a.Status == 0 {
		return 200
	}
	return a.Status
}

// bodiless says whether the response has no body on the wire, whatever the answer has.
func bodiless(req *Request, a *Answer) bool {
	return req.Method == http.MethodHead || status(a) == 204 || status(a) == 304
}

func (HTTP) part(req *Request, a *Answer, data []byte) []byte {
	switch {
	case bodiless(req, a) || len(data) == 0:
		return nil
	case a.Undeclared:
		return fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data)
	default:
		return append([]byte(nil), data...)
	}
}

func (HTTP) end(req *Request, a *Answer) []byte {
	if a.Undeclared && !bodiless(req, a) {
		return []byte("0\r\n\r\n")
	}
	return nil
}

func (HTTP) stderr(*Request, string) []byte { return nil }

func (HTTP) garbage() []byte { return []byte("\x15\x03\x01\x00\x02\x02\x16 this is no HTTP\r\n\r\n") }
