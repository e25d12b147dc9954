package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"spillway/deploy/internal/network"
)

// answerTime bounds the wait for one answer: longer than spillway holds a request for a process.
const answerTime = 90 * time.Second

// An ask is a request: an order and how it is sent.
type ask struct {
	order

	service *service
	method  string
	body    int  // bytes
	chunked bool // the length of the body is not declared
	rate    int  // bytes per second that the client reads; 0: as fast as it can
}

func (a *ask) target() string { return a.order.target(a.service.prefix) }

// What an answer can be that it must not be.
var (
	errForeign = errors.New("the answer to another request")
	errStatus  = errors.New("another status than the process's")
	errBody    = errors.New("another body than the client's was there")
	errLength  = errors.New("another length than the process's")
	errShort   = errors.New("a short body that looks complete")
	errEndless = errors.New("a body without a marked end")
)

// A link is a connection of a client.
type link struct {
	net.Conn

	in   *bufio.Reader
	out  *bufio.Writer
	last bool // the server has said that it will close it
}

func dial(addr string, slow bool) (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	connect := func() (net.Conn, error) {
		if slow {
			return network.Dial(ctx, addr, slow)
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", addr)
	}
	conn, err := connect()
	if err != nil {
		return nil, err
	}
	return &link{Conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriterSize(conn, 16<<10)}, nil
}

// head writes the head of a request, and is not sent before the next Flush.
func (l *link) head(a *ask, more string) {
	l.printf("%s %s HTTP/1.1\r\nHost: soak\r\n%s", a.method, a.target(), more)
	if a.method == http.MethodPost && a.chunked {
		l.printf("Transfer-Encoding: chunked\r\n")
	} else if a.method == http.MethodPost {
		l.printf("Content-Length: %d\r\n", a.body)
	}
	l.printf("\r\n")
}

// printf writes to the buffer, whose errors are those of the next Flush.
func (l *link) printf(format string, values ...any) { _, _ = fmt.Fprintf(l.out, format, values...) }

// chunk is the size of the pieces in which a body is sent that does not declare its length.
const chunk = 10_000

// send writes n bytes of the body of a request, and its end if that is all.
func (l *link) send(a *ask, n int) error {
	if a.method != http.MethodPost {
		return nil
	}
	body := io.LimitReader(bodyOf(a.id), int64(n))
	if !a.chunked {
		_, err := io.Copy(l.out, body)
		return err
	}
	piece := make([]byte, chunk)
	for {
		n, err := io.ReadFull(body, piece)
		if n > 0 {
			l.printf("%x\r\n%s\r\n", n, piece[:n])
		}
		if err != nil {
			break // the end
		}
	}
	if n == a.body {
		l.printf("0\r\n\r\n")
	}
	return nil
}

// receive reads an answer to its end and compares every byte; a limit of its body that is not negative is where the client has
// had enough.
func (l *link) receive(a *ask, limit int, r *result) error {
	response, err := http.ReadResponse(l.in, &http.Request{Method: a.method})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	r.status = response.StatusCode
	l.last = response.Close
	if response.Header.Get(fieldID) == "" {
		_, err := io.Copy(io.Discard, response.Body) // spillway's own
		return err
	}
	r.pid, _ = strconv.Atoi(response.Header.Get(fieldPID)) // 0 is nobody's
	if err := a.checkHead(response); err != nil {
		return err
	}
	if a.status == http.StatusNoContent || a.method == http.MethodHead {
		return nil
	}
	want := &comparison{want: answerTo(a.id), left: a.size}
	body := io.Reader(response.Body)
	if a.rate > 0 {
		body = &slowReader{from: body, rate: a.rate}
	}
	if limit >= 0 {
		_, err := io.CopyN(want, body, int64(limit))
		if errors.Is(err, io.EOF) {
			return errShort
		}
		return err
	}
	if _, err := io.Copy(want, body); err != nil {
		return err
	}
	if want.left > 0 {
		return errShort
	}
	return nil
}

// checkHead compares the head of an answer with what was ordered.
func (a *ask) checkHead(response *http.Response) error {
	body := sha256.New()
	if a.method == http.MethodPost {
		_, _ = io.CopyN(body, bodyOf(a.id), int64(a.body)) // neither fails
	}
	hasBody := a.status != http.StatusNoContent && a.method != http.MethodHead
	switch {
	case response.Header.Get(fieldID) != strconv.FormatUint(a.id, 10):
		return fmt.Errorf("%w: %s", errForeign, response.Header.Get(fieldID))
	case response.StatusCode != a.status:
		return errStatus
	case a.status == http.StatusSwitchingProtocols:
		return nil
	case response.Header.Get(fieldBody) != hex.EncodeToString(body.Sum(nil)):
		return errBody
	case a.declared && a.status != http.StatusNoContent && response.ContentLength != int64(a.size):
		return errLength
	case hasBody && response.ContentLength < 0 && len(response.TransferEncoding) == 0:
		return errEndless
	}
	return nil
}

// slowReader reads at a rate.
type slowReader struct {
	from io.Reader
	rate int // bytes per second
}

func (s *slowReader) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	pause(time.Duration(n) * time.Second / time.Duration(s.rate))
	return n, err
}
