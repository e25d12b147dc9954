package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestHandler_PeersHaveTurnsAndRequestsALine(t *testing.T) {
	var peers []string
	for _, name := range []string{"a", "b"} {
		peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, name+r.URL.Path)
		}))
		t.Cleanup(peer.Close)
		peers = append(peers, strings.TrimPrefix(peer.URL, "http://"))
	}
	file := filepath.Join(t.TempDir(), "access.log")
	handler, closeLog, err := (&config{Peers: peers, Conns: 1, Log: file}).handler()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 3 {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header.Set("User-Agent", "test")
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted {
			t.Errorf("got status %d", w.Code)
		}
		got = append(got, w.Body.String())
	}
	if text := strings.Join(got, " "); text != "b/x a/x b/x" {
		t.Errorf("got %q, want the peers in turn", text)
	}
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := `192\.0\.2\.1 - - \[[^]]+\] "GET /x HTTP/1\.1" 202 3 "-" "test"\n`
	if !regexp.MustCompile(`^(` + line + `){3}$`).Match(text) {
		t.Errorf("got %q", text)
	}
}

func TestHandler_NoPeersIsAnError(t *testing.T) {
	if _, _, err := (&config{}).handler(); err == nil {
		t.Error("got no error")
	}
}
