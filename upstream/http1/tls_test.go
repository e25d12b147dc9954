package http1_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"spillway/upstream"
	"spillway/upstream/certtest"
	"spillway/upstream/http1"
)

// issue makes a certificate for a name, by itself or by an authority.
func issue(tb testing.TB, name string, by *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	tb.Helper()
	made, err := certtest.Issue(name, by, change)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// securePeer starts a real HTTPS server.
func securePeer(t *testing.T, config *tls.Config, handler http.HandlerFunc) (addr string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// secureGroup returns a group for one peer that is asked over TLS.
func secureGroup(t *testing.T, addr, name string, config *tls.Config) *peer {
	t.Helper()
	proto := http1.New(http1.Options{KeepAlive: true})
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "test", Protocol: proto, Keepalive: 2, TLS: config, Peers: []upstream.PeerOptions{{Address: addr, Name: name}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(group.Close)
	return &peer{tb: t, proto: proto, group: group}
}

func pool(authority tls.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(authority.Leaf)
	return p
}

// TestTLS_Exchanges: bodies of all sizes both ways, on a connection that is kept, although a session's tickets come in between.
func TestTLS_Exchanges(t *testing.T) {
	authority := issue(t, "authority", nil, nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{Certificates: []tls.Certificate{issue(t, "app.test", &authority, nil)}, MaxVersion: version}
		addr := securePeer(t, config, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Name", r.TLS.ServerName)
			w.Header().Set("X-Resumed", strconv.FormatBool(r.TLS.DidResume))
			_, _ = w.Write(body)
		})
		p := secureGroup(t, addr, "app.test", &tls.Config{RootCAs: pool(authority), ClientSessionCache: tls.NewLRUClientSessionCache(0)})
		exchange := func(body []byte, fate upstream.Fate) (resumed string, reused bool) {
			t.Helper()
			conn := p.lease()
			req := get("PUT")
			req.Bytes, req.BodyLength = body, int64(len(body))
			if len(body) > 1000 && len(body)%2 == 1 {
				req.Bytes, req.Body = nil, bytes.NewReader(body)
			}
			if err := p.proto.Send(conn, req); err != nil {
				t.Fatal(err)
			}
			got := p.receive(conn, "PUT")
			if got.err != nil && !errors.Is(got.err, io.EOF) || got.body != string(body) || string(got.Header.Peek("X-Name")) != "app.test" {
				t.Fatalf("got %d bytes, %v, want %d; the name was %s", len(got.body), got.err, len(body), got.Header.Peek("X-Name"))
			}
			reused = conn.Reused()
			conn.Release(fate)
			return string(got.Header.Peek("X-Resumed")), reused
		}
		large := bytes.Repeat([]byte("0123456789"), 30000)
		exchange(large, upstream.Reusable)
		for _, body := range [][]byte{nil, []byte("x"), large, large[1:]} {
			if _, reused := exchange(body, upstream.Reusable); !reused {
				t.Errorf("TLS %x: the connection was not used again", version)
			}
		}
		exchange(nil, upstream.Spent)
		if resumed, reused := exchange(nil, upstream.Spent); resumed != "true" || reused {
			t.Errorf("TLS %x: got a new session on a new connection (%v), want the old one", version, !reused)
		}
	}
}

// TestTLS_HandshakeFailures: each has its words.
func TestTLS_HandshakeFailures(t *testing.T) {
	authority, other := issue(t, "authority", nil, nil), issue(t, "other", nil, nil)
	roots := &tls.Config{RootCAs: pool(authority)}
	server := func(c tls.Certificate) string {
		return securePeer(t, &tls.Config{Certificates: []tls.Certificate{c}}, func(http.ResponseWriter, *http.Request) {})
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	expired := issue(t, "app.test", &authority, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	good := server(issue(t, "app.test", &authority, nil))
	type trial struct {
		title, addr string
		config      *tls.Config
		kind        upstream.Kind
		want        string
	}
	verify := "upstream SSL certificate verify error ("
	for _, tt := range []trial{
		{"unknown authority", server(issue(t, "app.test", &other, nil)), roots, upstream.Refused, verify + "x509: certificate signed by unknown authority"},
		{"expired", server(expired), roots, upstream.Refused, verify + "certificate has expired or is not yet valid, it is of 20"},
		{"wrong name", server(issue(t, "else.test", &authority, nil)), roots, upstream.Refused, verify + "x509: certificate is valid for else.test, not app.test)"},
		{"wrong configured name", good, &tls.Config{RootCAs: pool(authority), ServerName: "b.test"}, upstream.Refused, verify + "x509: certificate is valid for app.test, not b.test)"},
		{"no TLS", plain.Listener.Addr().String(), roots, upstream.Refused, "SSL_do_handshake() failed (tls: first record does not look like"},
		{"silence", silent.Addr().String(), roots, upstream.TimedOut, "upstream timed out ("},
	} {
		t.Run(tt.title, func(t *testing.T) {
			p := secureGroup(t, tt.addr, "app.test", tt.config)
			connect := 20 * time.Second
			if tt.kind == upstream.TimedOut {
				connect = 100 * time.Millisecond
			}
			_, err := p.group.Peers()[0].Lease(upstream.Timeouts{Connect: connect, Send: connect, Read: connect}, false)
			var failure *upstream.Error
			if !errors.As(err, &failure) || failure.Kind != tt.kind || failure.Phase != upstream.Handshaking || !strings.HasPrefix(failure.Error(), tt.want) {
				t.Errorf("got %v (%+v), want %q", err, failure, tt.want)
			}
		})
	}
	if got := upstream.Handshaking.String(); got != "SSL handshaking to upstream" {
		t.Errorf("got %q", got)
	}
}

func TestTLS_ShowsItsCertificate(t *testing.T) {
	authority := issue(t, "authority", nil, nil)
	addr := securePeer(t, &tls.Config{
		Certificates: []tls.Certificate{issue(t, "app.test", &authority, nil)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool(authority),
	}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	client := issue(t, "spillway", &authority, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	p := secureGroup(t, addr, "app.test", &tls.Config{RootCAs: pool(authority), Certificates: []tls.Certificate{client}})
	conn := p.lease()
	defer conn.Release(upstream.Spent)
	if err := p.proto.Send(conn, get("GET")); err != nil {
		t.Fatal(err)
	}
	if got := p.receive(conn, "GET"); got.body != "spillway" {
		t.Errorf("got %q, %v, want the name in the certificate", got.body, got.err)
	}
}

// TestTLS_StrayBytesEndTheConnection: what came behind a response, whether it lies in the socket or in a record that was read
// already, is nobody's response.
func TestTLS_StrayBytesEndTheConnection(t *testing.T) {
	authority := issue(t, "authority", nil, nil)
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, "app.test", &authority, nil)}}
	for _, stray := range []string{"in the record", "later", "closed", ""} {
		sent := make(chan struct{})
		p := newPeer(t, http1.Options{KeepAlive: true}, func(raw net.Conn) {
			conn := tls.Server(raw, config)
			defer conn.Close()
			request := make([]byte, 1000)
			for {
				if _, err := conn.Read(request); err != nil {
					return
				}
				answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
				const more = "HTTP/1.1 299 Stray\r\nContent-Length: 0\r\n\r\n"
				switch stray {
				case "in the record": // more than the buffer takes at once
					answer += strings.Repeat(more, 200)
				case "closed":
					_, _ = io.WriteString(conn, answer)
					_ = conn.Close()
					sent <- struct{}{}
					return
				}
				_, _ = io.WriteString(conn, answer)
				if stray == "later" {
					_, _ = io.WriteString(conn, more)
				}
				sent <- struct{}{}
			}
		})
		secured := secureGroup(t, p.group.Peers()[0].Address(), "app.test", &tls.Config{RootCAs: pool(authority)})
		for i := range 2 {
			conn := secured.lease()
			if want := i == 1 && stray == ""; conn.Reused() != want {
				t.Errorf("%q: the connection was used again: %v", stray, conn.Reused())
			}
			if err := secured.proto.Send(conn, get("GET")); err != nil {
				t.Fatal(err)
			}
			got := secured.receive(conn, "GET")
			<-sent
			if got.body != "ok" {
				t.Errorf("%q: got %q, %v, want ok", stray, got.body, got.err)
			}
			conn.Release(upstream.Reusable)
		}
		secured.group.Close()
	}
}

// TestTLS_IdleForLongerThanTheReadTimeout: the deadline of an earlier read does not hide that the peer has closed, nor does it end a
// connection that is still good.
func TestTLS_IdleForLongerThanTheReadTimeout(t *testing.T) {
	authority := issue(t, "authority", nil, nil)
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, "app.test", &authority, nil)}}
	for _, closes := range []bool{true, false} {
		end, ended := make(chan struct{}), make(chan struct{}, 2)
		raw := newPeer(t, http1.Options{KeepAlive: true}, func(raw net.Conn) {
			conn := tls.Server(raw, config)
			_, _ = conn.Read(make([]byte, 1000))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			<-end
			if closes {
				_ = conn.Close()
			}
			ended <- struct{}{}
			_, _ = conn.Read(make([]byte, 1)) // until spillway closes
		})
		p := secureGroup(t, raw.group.Peers()[0].Address(), "app.test", &tls.Config{RootCAs: pool(authority)})
		conn := p.lease()
		if err := p.proto.Send(conn, get("GET")); err != nil {
			t.Fatal(err)
		}
		if got := p.receive(conn, "GET"); got.body != "ok" {
			t.Fatalf("got %q, %v, want ok", got.body, got.err)
		}
		conn.Release(upstream.Reusable)
		conn, err := p.group.Peers()[0].Lease(upstream.Timeouts{Read: time.Millisecond}, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = conn.Read(make([]byte, 1)); err == nil {
			t.Fatal("the peer has sent something")
		}
		conn.Release(upstream.Reusable)
		close(end)
		<-ended
		if conn = p.lease(); conn.Reused() == closes {
			t.Errorf("the peer has closed: %v, the connection was used again: %v", closes, conn.Reused())
		}
		conn.Release(upstream.Spent)
	}
}
