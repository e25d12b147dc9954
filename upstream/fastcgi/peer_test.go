package fastcgi_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/fastcgi"
)

// wait bounds everything that a test waits for.
const wait = 20 * time.Second

// record is one record on the wire; pad bytes of padding follow the content.
func record(recordType byte, content string, pad int) string {
	return string([]byte{1, recordType, 0, 1, byte(len(content) >> 8), byte(len(content)), byte(pad), 0}) +
		content + strings.Repeat("P", pad)
}

func stdout(content string) string { return record(6, content, 0) }
func stderr(content string) string { return record(7, content, 0) }

// finished is END_REQUEST with an application status and a protocol status.
func finished(application, protocol byte) string {
	return record(3, string([]byte{0, 0, 0, application, protocol, 0, 0, 0}), 0)
}

// end is how a good response ends.
func end() string { return stdout("") + finished(0, 0) }

// received is a request as a naive application reads it.
type received struct {
	keep   bool
	vars   map[string]string
	body   string
	params []int // lengths of the PARAMS records
}

// readRequest reads a request up to its empty STDIN record.
func readRequest(r io.Reader) (received, error) {
	got := received{vars: map[string]string{}}
	var pairs, body strings.Builder
	for {
		header := make([]byte, 8)
		if _, err := io.ReadFull(r, header); err != nil {
			return got, err
		}
		content := make([]byte, binary.BigEndian.Uint16(header[4:]))
		if _, err := io.ReadFull(r, content); err != nil {
			return got, err
		}
		if _, err := io.CopyN(io.Discard, r, int64(header[6])); err != nil {
			return got, err
		}
		if header[0] != 1 || header[2] != 0 || header[3] != 1 {
			return got, errors.New("bad record header")
		}
		switch header[1] {
		case 1:
			got.keep = content[2]&1 == 1
		case 4:
			pairs.Write(content)
			got.params = append(got.params, len(content))
		case 5:
			body.Write(content)
			if len(content) == 0 {
				got.body = body.String()
				return got, readPairs(got.vars, pairs.String())
			}
		default:
			return got, errors.New("bad record type")
		}
	}
}

// readPairs reads name-value pairs (section 3.4).
func readPairs(vars map[string]string, pairs string) error {
	length := func() (n int) {
		if pairs == "" {
			return 0
		}
		if pairs[0] < 128 {
			n, pairs = int(pairs[0]), pairs[1:]
		} else {
			n, pairs = int(binary.BigEndian.Uint32([]byte(pairs[:4]))&0x7fffffff), pairs[4:]
		}
		return n
	}
	for pairs != "" {
		name, value := length(), length()
		if name+value > len(pairs) {
			return errors.New("pair beyond the end")
		}
		vars[pairs[:name]] = pairs[name : name+value]
		pairs = pairs[name+value:]
	}
	return nil
}

// serve runs a peer: it accepts connections one after the other until the test ends.
func serve(tb testing.TB, handle func(net.Conn, *bufio.Reader)) (address string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when the listener is closed and the connection at hand has ended
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(wait))
			handle(conn, bufio.NewReader(conn))
			conn.Close()
		}
	}()
	tb.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// answering is a peer that reads each request and answers it with wire; without keep it closes after the first.
func answering(tb testing.TB, wire string, keep bool) (address string) {
	tb.Helper()
	return serve(tb, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(conn, wire); err != nil || !keep {
				return
			}
		}
	})
}

// lease opens a connection to the peer; the caller releases it.
func lease(tb testing.TB, p *fastcgi.Protocol, address string) *upstream.Conn {
	tb.Helper()
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Protocol: p, Peers: []upstream.PeerOptions{{Address: address}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := group.Peers()[0].Lease(upstream.Timeouts{Connect: wait, Send: wait, Read: wait}, true)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

// get is a GET of /.
func get() *upstream.Request {
	return &upstream.Request{
		Method: []byte("GET"), Target: []byte("/?q"), Path: []byte("/"), Query: []byte("q"), Header: &fasthttp.RequestHeader{},
		Proto: []byte("HTTP/1.1"), Scheme: "http", RemoteAddr: "192.0.2.1", RemotePort: "4711",
		ServerAddr: "127.0.0.1", ServerPort: "8080", ServerName: "example.com",
	}
}

// post is a POST of a body in memory.
func post(body string) *upstream.Request {
	req := get()
	req.Method, req.Bytes, req.BodyLength = []byte("POST"), []byte(body), int64(len(body))
	if body == "" {
		req.Bytes = nil
	}
	return req
}

// newResponse is a response with a buffer of the given size that collects lines of standard error.
func newResponse(size int, lines *[]string) *upstream.Response {
	resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, size)}
	resp.Header.DisableNormalizing()
	resp.Header.SetNoDefaultContentType(true)
	resp.Stderr = func(line []byte) {
		if lines != nil {
			*lines = append(*lines, string(line))
		}
	}
	resp.Reset()
	return resp
}

// readBody returns the whole body.
func readBody(resp *upstream.Response) (string, error) {
	body := string(resp.Prefix)
	if resp.Complete {
		return body, nil
	}
	rest, err := io.ReadAll(resp.Body)
	return body + string(rest), err
}
