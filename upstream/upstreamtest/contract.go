package upstreamtest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"spillway/upstream"
)

// contract is one run of RunContract over one network.
type contract struct {
	wire        Wire
	newProtocol func() upstream.Protocol
	network     string // tcp or unix
}

// RunContract tests what every protocol must do, against a Server that speaks wire, over TCP and over unix sockets where the
// system has them. newProtocol returns a protocol that keeps connections open, if it can.
func RunContract(t *testing.T, wire Wire, newProtocol func() upstream.Protocol) {
	t.Helper()
	for _, network := range networks() {
		c := contract{wire: wire, newProtocol: newProtocol, network: network}
		t.Run(network, c.run)
	}
}

func (c *contract) run(t *testing.T) {
	t.Run("methods", c.methods)
	t.Run("fields", c.fields)
	t.Run("hop-by-hop fields stay behind", c.hopByHop)
	t.Run("request body sizes", c.requestSizes)
	t.Run("request body of unknown length", c.unknownLength)
	t.Run("request body that breaks", c.brokenRequest)
	t.Run("response body sizes", c.responseSizes)
	t.Run("responses without a body", c.bodiless)
	t.Run("byte by byte", c.byteByByte)
	t.Run("streaming", c.streaming)
	if !c.wire.OneShot() {
		t.Run("one connection", c.oneConnection)
	}
	t.Run("cancel", c.cancel)
	c.runFaults(t)
}

// serve starts a server and a client for it.
func (c *contract) serve(t *testing.T, handler func(*Request) Answer) (*client, *Server) {
	t.Helper()
	server := newServer(t, c.wire, handler, c.network)
	return newClient(t, c.newProtocol(), server.Addr()), server
}

// pattern is a body in which no two places look alike.
func pattern(n int) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%x\r\n", b.Len())
	}
	return b.Bytes()[:n]
}

// want checks a whole response.
func (x *exchange) want(t *testing.T, status int, body []byte) {
	t.Helper()
	if x.err != nil {
		t.Fatalf("got error %v, want status %d", x.err, status)
	}
	if got := x.resp.Header.StatusCode(); got != status {
		t.Errorf("got status %d, want %d", got, status)
	}
	if !bytes.Equal(x.body, body) {
		t.Errorf("got a body of %d bytes (%.60q), want %d (%.60q)", len(x.body), x.body, len(body), body)
	}
}

func (c *contract) methods(t *testing.T) {
	client, server := c.serve(t, func(r *Request) Answer { return Answer{Body: []byte(r.Method + " " + r.Target)} })
	for i, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "HEAD"} {
		target := "/a%20b/?x=1&y=%2F"
		want := []byte(method + " " + target)
		if method == "HEAD" {
			want = nil
		}
		client.do(newRequest(method, target, nil)).want(t, 200, want)
		if got := server.Requests()[i]; got.Method != method || got.Target != target {
			t.Errorf("the peer got %s %s, want %s %s", got.Method, got.Target, method, target)
		}
	}
}

func (c *contract) fields(t *testing.T) {
	answer := Answer{Body: []byte("x"), Header: []Field{
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Set-Cookie", "b=2; Path=/"},
		{"Set-Cookie", "a=1"},
		{"Set-Cookie", "b=3"},
		{"Vary", "Cookie"},
		{"Vary", "Accept"},
		{"X-Empty", ""},
		{"x-lower", "\xe4 \"quoted\"\tvalue"},
	}}
	for i := range 50 {
		answer.Header = append(answer.Header, Field{fmt.Sprintf("X-Many-%d", i), strings.Repeat("v", i)})
	}
	client, server := c.serve(t, func(*Request) Answer { return answer })
	req := newRequest("GET", "/", nil)
	req.Header.Set("X-Client", "one")
	req.Header.Set("Cookie", "a=1; b=2")
	req.Header.Set("X-Replaced", "by the client")
	req.Set = []upstream.Field{{Name: []byte("x-replaced"), Value: []byte("by the configuration")}}
	x := client.do(req)
	x.want(t, 200, []byte("x"))
	for _, name := range []string{"Set-Cookie", "Vary", "X-Empty", "x-lower", "X-Many-0", "X-Many-49", "Content-Type"} {
		var got, want []string
		for key, value := range x.resp.Header.All() {
			if strings.EqualFold(string(key), name) {
				got = append(got, string(value))
			}
		}
		for _, f := range answer.Header {
			if f.Name == name {
				want = append(want, f.Value)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	seen := server.Requests()[0]
	for name, want := range map[string]string{
		"X-Client": "one", "Cookie": "a=1; b=2", "X-Replaced": "by the configuration", "Host": "contract.test",
	} {
		if got := seen.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("the peer got %s %q, want %q", name, got, want)
		}
	}
}

func (c *contract) hopByHop(t *testing.T) {
	client, server := c.serve(t, func(*Request) Answer {
		return Answer{Body: []byte("x"), Header: []Field{
			{"Keep-Alive", "timeout=5"},
			{"Proxy-Authenticate", "Basic"},
			{"Upgrade", "h2c"},
			{"Trailer", "X-T"},
			{"Connection", "X-Mine"},
			{"X-Mine", "1"},
			{"X-Accel-Buffering", "no"},
			{"X-Kept", "1"},
		}}
	})
	req := newRequest("GET", "/", nil)
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Proxy-Authorization"} {
		req.Header.Set(name, "client")
	}
	x := client.do(req)
	x.want(t, 200, []byte("x"))
	for name := range x.resp.Header.All() {
		switch strings.ToLower(string(name)) {
		case "keep-alive", "proxy-authenticate", "upgrade", "trailer", "connection", "x-mine", "x-accel-buffering":
			t.Errorf("%s crossed the proxy", name)
		}
	}
	if got := x.resp.Header.Peek("X-Kept"); string(got) != "1" {
		t.Errorf("got X-Kept %q, want 1", got)
	}
	for _, f := range server.Requests()[0].Header {
		if f.Value == "client" {
			t.Errorf("the peer got %s", f.Name)
		}
	}
}

// sizes are lengths of bodies: small, around the buffers in use, and large.
var sizes = []int{
	0, 1, 2, 100, bufferSize - 200, bufferSize - 1, bufferSize, bufferSize + 1, 2 * bufferSize, 8191, 8192, 8193,
	32767, 32768, 32769, 65528, 65535, 65536, 65537, 131072, 300 << 10,
}

// echo answers with the request's body.
func echo(r *Request) Answer { return Answer{Body: r.Body()} }

func (c *contract) requestSizes(t *testing.T) {
	client, _ := c.serve(t, echo)
	for _, size := range sizes {
		body := pattern(size)
		client.do(newRequest("POST", "/memory", body)).want(t, 200, body)
		streamed := newRequest("POST", "/stream", nil)
		streamed.BodyLength = int64(size)
		if size > 0 {
			streamed.Body = slowReader{bytes.NewReader(body)}
		}
		client.do(streamed).want(t, 200, body)
	}
}

// slowReader reads a body in odd pieces, with an empty one now and then.
type slowReader struct{ r *bytes.Reader }

func (s slowReader) Read(p []byte) (int, error) {
	if s.r.Len()%7 == 3 && len(p) > 1 {
		_, _ = s.r.Read(p[:1])
		return 1, nil
	}
	return s.r.Read(p[:min(len(p), 5003)])
}

func (c *contract) unknownLength(t *testing.T) {
	if c.wire.Name() != "http" {
		t.Skip("CGI wants to know the length")
	}
	client, _ := c.serve(t, echo)
	for _, size := range sizes {
		body := pattern(size)
		req := newRequest("POST", "/", nil)
		req.BodyLength, req.Body = -1, slowReader{bytes.NewReader(body)}
		client.do(req).want(t, 200, body)
	}
}

func (c *contract) brokenRequest(t *testing.T) {
	client, server := c.serve(t, echo)
	req := newRequest("POST", "/", nil)
	req.BodyLength, req.Body = 200000, bytes.NewReader(pattern(100000))
	x := client.do(req)
	wantFailure(t, x.err, expectation{kind: upstream.Canceled, phase: upstream.Sending})
	if got := len(server.Requests()); got != 0 {
		t.Errorf("the peer took %d requests for whole, want none", got)
	}
}

func (c *contract) responseSizes(t *testing.T) {
	for _, undeclared := range []bool{false, true} {
		client, _ := c.serve(t, func(r *Request) Answer { return Answer{Body: r.Body(), Undeclared: undeclared} })
		for _, size := range sizes {
			body := pattern(size)
			x := client.do(newRequest("POST", "/", body))
			x.want(t, 200, body)
			want := int64(size)
			if undeclared {
				want = -1
			}
			if x.resp.Length != want {
				t.Errorf("got length %d, want %d", x.resp.Length, want)
			}
		}
	}
}

func (c *contract) bodiless(t *testing.T) {
	client, server := c.serve(t, func(r *Request) Answer {
		a := Answer{Body: []byte("a body that must not be sent")}
		_, _ = fmt.Sscanf(r.Target, "/%d", &a.Status)
		return a
	})
	// A protocol need not trust a peer that is asked for a head to send no body, so HEAD may end the connection.
	for _, tt := range []struct {
		method, target string
		status         int
	}{{"GET", "/204", 204}, {"GET", "/304", 304}, {"HEAD", "/200", 200}, {"HEAD", "/404", 404}, {"HEAD", "/304", 304}} {
		x := client.do(newRequest(tt.method, tt.target, nil))
		x.want(t, tt.status, nil)
		if tt.method == "HEAD" && tt.status != 304 && x.resp.Length != 28 {
			t.Errorf("%s %s: got length %d, want 28", tt.method, tt.target, x.resp.Length)
		}
		if got := server.Conns(); got != 1 && tt.method != "HEAD" && !c.wire.OneShot() {
			t.Errorf("%s %s: got %d connections, want 1", tt.method, tt.target, got)
		}
	}
}

func (c *contract) byteByByte(t *testing.T) {
	body := pattern(5000)
	for _, undeclared := range []bool{false, true} {
		client, _ := c.serve(t, func(*Request) Answer {
			return Answer{Body: body, Undeclared: undeclared, Fault: ByteByByte, Header: []Field{{"X-A", "1"}}}
		})
		for range 3 {
			client.do(newRequest("GET", "/", nil)).want(t, 200, body)
		}
	}
}

// streaming checks that a response can be read while the peer still makes it.
func (c *contract) streaming(t *testing.T) {
	for _, size := range []int{2, 1000, 20000} {
		for _, undeclared := range []bool{false, true} {
			body, gate := pattern(size), make(chan struct{})
			client, _ := c.serve(t, func(*Request) Answer { return Answer{Body: body, Undeclared: undeclared, Gate: gate} })
			x := client.begin(newRequest("GET", "/", nil))
			if x.err != nil {
				t.Fatal(x.err)
			}
			x.readTo(size / 2)
			if x.resp.Complete {
				t.Error("a response is complete of which half is missing")
			}
			close(gate)
			x.finish()
			x.want(t, 200, body)
		}
	}
}

func (c *contract) oneConnection(t *testing.T) {
	client, server := c.serve(t, echo)
	for i := range 20 {
		body := pattern(i * 997)
		x := client.do(newRequest("POST", fmt.Sprintf("/%d", i), body))
		x.want(t, 200, body)
		if x.reused != (i > 0) {
			t.Errorf("request %d: got reused %v", i, x.reused)
		}
	}
	for i, r := range server.Requests() {
		if r.Conn != 1 || r.Sequence != i+1 {
			t.Errorf("request %d came as number %d on connection %d", i, r.Sequence, r.Conn)
		}
	}
}

func (c *contract) cancel(t *testing.T) {
	client, _ := c.serve(t, func(*Request) Answer { return Answer{Body: pattern(1000), Fault: HangInBody} })
	x := client.begin(newRequest("GET", "/", nil))
	if x.err != nil {
		t.Fatal(x.err)
	}
	x.readTo(500)
	x.conn.Cancel()
	x.finish()
	wantFailure(t, x.err, expectation{kind: upstream.Canceled, phase: upstream.ReadingBody})
}

var _ io.Reader = slowReader{}
