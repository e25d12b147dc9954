package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOrder_SpeaksTLS(t *testing.T) {
	certificate, err := writeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certificate, certificate)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	versions := make(chan uint16, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case versions <- r.TLS.Version:
		default:
		}
		_, _ = io.WriteString(w, strings.Repeat("x", kilobyte))
	})}
	go server.Serve(ln) // ends with the listener
	defer server.Close()

	o := order{Addr: ln.Addr().String(), Size: kilobyte, Conns: 2, TLS: certificate, Length: 50 * time.Millisecond}
	for _, o.Fresh = range []bool{false, true} {
		all, err := connect(t.Context(), &o)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := o.run(t.Context(), all); err != nil || l.Requests == 0 {
			t.Errorf("fresh %v: got %+v, %v, want answers", o.Fresh, l, err)
		}
		closeAll(all)
	}
	if got := <-versions; got != tls.VersionTLS13 {
		t.Errorf("got version %x", got)
	}

	// Another proxy's certificate is not this one's.
	if o.TLS, err = writeCertificate(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	all, err := connect(t.Context(), &o)
	defer closeAll(all)
	if err == nil {
		t.Error("an unknown certificate: got no error")
	}
}
