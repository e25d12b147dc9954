package upstreamtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// newCGIRequest makes a request of CGI variables, which are in the order of arrival.
func newCGIRequest(variables []Field) (*Request, error) {
	req := &Request{Params: map[string]string{}}
	for _, v := range variables {
		if _, twice := req.Params[v.Name]; twice || v.Name == "" {
			return nil, fmt.Errorf("variable twice or without a name: %q", v.Name)
		}
		req.Params[v.Name] = v.Value
		if field, ok := strings.CutPrefix(v.Name, "HTTP_"); ok {
			field = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(field, "_", "-"))
			req.Header = append(req.Header, Field{Name: field, Value: v.Value})
		}
		if v.Name == "CONTENT_TYPE" {
			req.Header = append(req.Header, Field{Name: "Content-Type", Value: v.Value})
		}
	}
	req.Method, req.Target = req.Params["REQUEST_METHOD"], req.Params["REQUEST_URI"]
	slices.SortFunc(req.Header, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return req, nil
}

// cgiHead is the head of a CGI program's answer behind its first line: RFC 3875, section 6.
func cgiHead(first string, a *Answer, length int) []byte {
	b := fmt.Appendf(nil, "%s %d Status\r\n", first, status(a))
	for _, f := range a.Header {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	if length >= 0 && status(a) != 204 && status(a) != 304 {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", length)
	}
	return append(b, "\r\n"...)
}

// unframed is what SCGI and uwsgi have in common: a body as it is, and one request on a connection.
type unframed struct{}

// OneShot returns true.
func (unframed) OneShot() bool { return true }

func (unframed) readBody(r *bufio.Reader, req *Request) ([]byte, error) {
	text := req.Params["CONTENT_LENGTH"]
	if text == "" {
		return nil, nil
	}
	length, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(r, body)
	return body, err
}

func (unframed) part(req *Request, a *Answer, data []byte) []byte {
	if bodiless(req, a) {
		return nil
	}
	return slices.Clone(data)
}

func (unframed) end(*Request, *Answer) []byte { return nil }

func (unframed) stderr(*Request, string) []byte { return nil }

func (unframed) garbage() []byte { return []byte("\x00\x00\x01 this is no head\r\n\r\n") }

// SCGI is SCGI as python.ca/scgi has it.
type SCGI struct{ unframed }

// Name returns "scgi".
func (SCGI) Name() string { return "scgi" }

// readHead reads a netstring of variables; it is as strict as the specification.
func (SCGI) readHead(r *bufio.Reader) (*Request, error) {
	digits, err := r.ReadString(':')
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
	if err != nil || size < 1 || size > 1<<24 {
		return nil, fmt.Errorf("netstring of %q bytes", digits)
	}
	all := make([]byte, size+1)
	if _, err := io.ReadFull(r, all); err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(string(all), "\x00,")
	parts := strings.Split(text, "\x00")
	if !ok || len(parts)%2 != 0 {
		return nil, errors.New("variables without an end")
	}
	var variables []Field
	for pair := range slices.Chunk(parts, 2) {
		variables = append(variables, Field{Name: pair[0], Value: pair[1]})
	}
	req, err := newCGIRequest(variables)
	if err == nil && (variables[0].Name != "CONTENT_LENGTH" || variables[0].Value == "" || req.Params["SCGI"] != "1") {
		err = errors.New("no CONTENT_LENGTH at first, or not SCGI 1")
	}
	return req, err
}

func (SCGI) head(_ *Request, a *Answer, length int) []byte { return cgiHead("Status:", a, length) }

// UWSGI is uwsgi, the language of uWSGI, for a program that answers as uWSGI does: with a status line.
type UWSGI struct{ unframed }

// Name returns "uwsgi".
func (UWSGI) Name() string { return "uwsgi" }

// readHead reads a packet of variables.
func (UWSGI) readHead(r *bufio.Reader) (*Request, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, int(header[1])|int(header[2])<<8)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, err
	}
	var texts []string
	for len(packet) > 0 {
		if len(packet) < 2 {
			return nil, io.ErrUnexpectedEOF
		}
		size := int(packet[0]) | int(packet[1])<<8
		if packet = packet[2:]; len(packet) < size {
			return nil, io.ErrUnexpectedEOF
		}
		texts, packet = append(texts, string(packet[:size])), packet[size:]
	}
	if len(texts)%2 != 0 {
		return nil, errors.New("a name without a value")
	}
	var variables []Field
	for pair := range slices.Chunk(texts, 2) {
		variables = append(variables, Field{Name: pair[0], Value: pair[1]})
	}
	return newCGIRequest(variables)
}

func (UWSGI) head(_ *Request, a *Answer, length int) []byte { return cgiHead("HTTP/1.1", a, length) }
