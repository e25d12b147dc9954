package downstream_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

const getHello = "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"

func TestListener_ServesKeepAlive(t *testing.T) {
	s := start(t, hello, nil)
	c := s.connect()
	for range 3 {
		status, body, header := c.send(getHello).response("GET")
		if status != 200 || body != "hello\n" || header.Get("Server") != "spillway" || header.Get("Date") == "" {
			t.Fatalf("got %d %q %v", status, body, header)
		}
	}
	if got := s.Stats(); got.Requests != 3 || got.Accepted != 1 || got.Active != 1 {
		t.Errorf("got %+v", got)
	}
}

// content is a proxy.Content of pieces, after which comes err.
type content struct {
	pieces []string
	raw    []byte // before them
	err    error
	closed func(error)
	crash  bool
}

func (c *content) Read([]byte) (int, error) { return 0, errors.New("read by nobody") }

func (c *content) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.raw)
	total := int64(n)
	if err != nil {
		return total, err
	}
	for _, p := range c.pieces {
		n, err := io.WriteString(w, p)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	if c.crash {
		panic("content")
	}
	return total, c.err
}

func (c *content) Close(err error) error {
	if c.closed != nil {
		c.closed(err)
	}
	return nil
}

// streamed answers with a content whose length is unknown if it is negative.
func streamed(length int64, c *content) handlerFunc {
	return func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(200)
		again := *c
		ex.Content, ex.Length = &again, length
		return nil
	}
}

// record is what an observer saw in Finish.
type record struct {
	status           int
	sent, body, read int64
	truncated        bool
}

// records collects them; the channel has room for what a test makes.
func records() (func(*proxy.Exchange), chan record) {
	seen := make(chan record, 100)
	return func(ex *proxy.Exchange) {
		seen <- record{ex.Status(), ex.BytesSent, ex.BodyBytesSent, ex.RequestBytes, ex.Truncated}
	}, seen
}

// withoutDate cuts the Date line out of a response.
func withoutDate(response string) string {
	at := strings.Index(response, "Date: ")
	if at < 0 {
		return response
	}
	end := strings.Index(response[at:], "\r\n")
	return response[:at] + response[at+end+2:]
}

func TestListener_ResponsesByteForByte(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 4<<10)
	const get, get10 = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		handler       handlerFunc
		want          string
	}{
		{"bytes", get, hello, "HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"},
		{
			"known length", get, streamed(5, &content{pieces: []string{"he", "llo"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		},
		{
			"chunks", get, streamed(-1, &content{pieces: []string{"he", "", "llo, this is longer"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
				"2\r\nhe\r\n13\r\nllo, this is longer\r\n0\r\n\r\n",
		},
		{
			"large chunk", get, streamed(-1, &content{pieces: []string{big}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
				"10000\r\n" + big + "\r\n0\r\n\r\n",
		},
		{
			"large body", get, streamed(1<<16, &content{pieces: []string{big}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n" + big,
		},
		{
			"no content in chunks", get, streamed(-1, &content{}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		},
		{
			"no content", get, streamed(0, &content{}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
		{
			"A24 unknown length on 1.0", get10, streamed(-1, &content{pieces: []string{"he", "llo"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nConnection: close\r\n\r\nhello",
		},
		{
			"unknown length on 1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			streamed(-1, &content{pieces: []string{"hello"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nConnection: close\r\n\r\nhello",
		},
		{
			"HEAD of known length", strings.Replace(get, "GET", "HEAD", 1), streamed(5, &content{pieces: []string{"hello"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
		},
		{
			"HEAD of unknown length", strings.Replace(get, "GET", "HEAD", 1), streamed(-1, &content{pieces: []string{"hello"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nConnection: close\r\n\r\n",
		},
		{
			"HEAD of bytes", strings.Replace(get, "GET", "HEAD", 1), hello,
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 6\r\nConnection: close\r\n\r\n",
		},
		{
			"204", get, func(ex *proxy.Exchange) error { ex.Response.SetStatusCode(204); return nil },
			"HTTP/1.1 204 No Content\r\nServer: spillway\r\nConnection: close\r\n\r\n",
		},
		{"304 with a content", get, func(ex *proxy.Exchange) error {
			ex.Response.SetStatusCode(304)
			ex.Content, ex.Length = &content{pieces: []string{"hello"}}, -1
			return nil
		}, "HTTP/1.1 304 Not Modified\r\nServer: spillway\r\nConnection: close\r\n\r\n"},
		{"499", get, func(*proxy.Exchange) error { return &proxy.StatusError{Code: proxy.StatusClientGone} }, ""},
		{
			"cut in chunks", get, streamed(-1, &content{pieces: []string{"hello"}, err: io.ErrUnexpectedEOF}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n",
		},
		{
			"fails before it begins", get, streamed(-1, &content{err: io.ErrUnexpectedEOF}),
			"HTTP/1.1 502 Bad Gateway\r\nServer: spillway\r\nContent-Type: text/html\r\nContent-Length: 153\r\n" +
				"Connection: close\r\n\r\n" + string(proxy.Page(502)),
		},
		{
			"too short", get, streamed(9, &content{pieces: []string{"hello"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhello",
		},
		{
			"too long", get, streamed(5, &content{pieces: []string{"hello", "GET / HTTP/1.1"}}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		},
		{
			"panic", get, streamed(9, &content{pieces: []string{"hello"}, crash: true}),
			"HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhello",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.handler, nil)
			if got := withoutDate(s.do(tt.request)); got != tt.want {
				t.Errorf("got %.300q, want %.300q", got, tt.want)
			}
		})
	}
}

func TestListener_FinishSeesWhatWasSent(t *testing.T) {
	broken := errors.New("broken")
	closed := make(chan error, 10)
	observe, seen := records()
	s := start(t, streamed(-1, &content{pieces: []string{"hello"}, err: broken, closed: func(err error) { closed <- err }}), nil, observe)
	got := s.do("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if err := <-closed; !errors.Is(err, broken) {
		t.Errorf("content closed with %v, want %v", err, broken)
	}
	want := record{status: 200, sent: int64(len(got)), body: 5, truncated: true}
	if r := <-seen; r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func TestListener_Pipelining(t *testing.T) {
	s := start(t, describe, nil)
	c := s.connect()
	c.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\ntwo\r\n0\r\nX: y\r\n\r\n" +
		"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: a b\r\n\r\n" + // A20: refused, and the one after it never served
		"GET /5 HTTP/1.1\r\nHost: a\r\n\r\n")
	for i, end := range []string{"body=one", "body=two", "Host: a\n"} {
		_, body, _ := c.response("GET")
		if !strings.Contains(body, fmt.Sprintf("path=/%d ", i+1)) || !strings.HasSuffix(body, end) {
			t.Errorf("got %q, want the end %q", body, end)
		}
	}
	if status, _, _ := c.response("GET"); status != 400 {
		t.Errorf("got %d, want 400", status)
	}
	c.closed()
}

// A16: whoever answers without reading the body does not make a request of it.
func TestListener_UnreadBodies(t *testing.T) {
	s := start(t, hello, nil)
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	small := strings.Repeat("GET /x HTTP/1.1\r\n\r\n", 100)
	c := s.connect()
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s%s", len(small), small, next))
	for range 2 {
		if status, _, header := c.response("GET"); status != 200 || header.Get("Closed") != "" {
			t.Fatalf("got %d %v", status, header)
		}
	}
	if got := s.Stats().Requests; got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}

	c = s.connect()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + small)
	if status, _, header := c.response("GET"); status != 200 || header.Get("Closed") == "" {
		t.Errorf("got %d %v, want a close", status, header)
	}
	c.send(small) // the response is not lost by a reset: the rest is still read
	c.closed()
}

// A21: a body that ends early is an error for the handler and for the client.
func TestListener_TruncatedBodies(t *testing.T) {
	for name, request := range map[string]string{
		"length":      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
		"chunked":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"nothing":     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
		"in a chunk":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
		"in trailers": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX",
	} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			s := start(t, func(ex *proxy.Exchange) error {
				_, err := io.Copy(io.Discard, ex.Body)
				failed <- err
				return err
			}, nil)
			c := s.connect()
			c.send(request)
			closeWrite(t, c)
			if status, _, _ := c.response("POST"); status != 400 {
				t.Errorf("got %d, want 400", status)
			}
			if name == "nothing" { // the handler is called with the first byte
				return
			}
			if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v, want an unexpected end", err)
			}
		})
	}
}

func closeWrite(tb testing.TB, c *client) {
	tb.Helper()
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		tb.Fatal("cannot close one side")
	}
}

func TestListener_ClientLeaves(t *testing.T) {
	observe, seen := records()
	s := start(t, func(ex *proxy.Exchange) error {
		left := make(chan struct{})
		ex.OnGone(func() { close(left) })
		<-left // the watch begins after a quarter of a second
		return &proxy.StatusError{Code: proxy.StatusClientGone, Cause: proxy.CauseClientGone}
	}, nil, observe)
	c := s.connect()
	c.send(getHello)
	c.Close()
	if r := <-seen; r.status != proxy.StatusClientGone || r.sent != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestListener_Expect(t *testing.T) {
	s := start(t, describe, nil)
	c := s.connect()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	line, err := c.r.ReadString('\n')
	if blank, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" || blank != "\r\n" {
		t.Fatalf("got %q %q %v", line, blank, err)
	}
	_, body, _ := c.send("hello").response("POST")
	if strings.Contains(body, "Expect") || !strings.HasSuffix(body, "body=hello") {
		t.Errorf("got %q", body)
	}
}

func TestListener_ExpectWithoutWelcome(t *testing.T) {
	s := start(t, describe, nil)
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"body beyond the limit", "POST /small/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 413},
		{"target that is refused", "POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.connect()
			if status, _, _ := c.send(tt.text).response("POST"); status != tt.status {
				t.Errorf("got %d, want %d and no 100", status, tt.status)
			}
			c.closed()
		})
	}
}

func TestListener_KeepaliveRequests(t *testing.T) {
	s := start(t, hello, func(o *downstream.Options) { o.KeepaliveRequests = 2 })
	c := s.connect()
	c.send(getHello).response("GET")
	if _, _, header := c.send(getHello).response("GET"); header.Get("Closed") == "" {
		t.Error("got no close with the last request")
	}
	c.closed()
}

func TestListener_HTTP10(t *testing.T) {
	s := start(t, hello, nil)
	c := s.connect()
	for range 2 {
		_, _, header := c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response("GET")
		if header.Get("Connection") != "keep-alive" {
			t.Fatalf("got %v", header)
		}
	}
	c.send("GET / HTTP/1.0\r\n\r\n").response("GET")
	c.closed()
}

func TestListener_HandlerPanics(t *testing.T) {
	s := start(t, func(*proxy.Exchange) error { panic("handler") }, nil)
	c := s.connect()
	for range 2 {
		if status, _, _ := c.send(getHello).response("GET"); status != 500 {
			t.Errorf("got %d, want 500", status)
		}
	}
}

func TestListener_ManyClients(t *testing.T) {
	s := start(t, func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(200)
		if ex.Conn%2 == 0 {
			ex.Content, ex.Length = &content{pieces: []string{string(ex.Path), "!"}}, -1
			return nil
		}
		ex.Bytes = append([]byte(nil), ex.Path...)
		ex.Bytes = append(ex.Bytes, '!')
		return nil
	}, nil)
	var group sync.WaitGroup
	for i := range 20 {
		c := s.connect()
		group.Go(func() {
			for j := range 20 {
				path := fmt.Sprintf("/%d/%d", i, j)
				if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					t.Error(err)
					return
				}
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := io.ReadAll(resp.Body); err != nil || string(b) != path+"!" {
					t.Errorf("got %q, %v, want %q", b, err, path)
				}
			}
		})
	}
	group.Wait()
}
