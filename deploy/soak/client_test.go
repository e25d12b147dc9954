package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// A client against a backend itself, without spillway: what comes from it is right, and what somebody spoils is noticed.
func TestClient_NoticesWhatIsSpoiled(t *testing.T) {
	f := func(spoil func(http.ResponseWriter) http.ResponseWriter, method string, declared bool, want error) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(spoil(w), r) }))
		defer server.Close()
		j := newJournal()
		c := newClient(server.Listener.Addr().String(), ours("soak", ""), j, 1, 0)
		defer c.close()
		a := &ask{service: c.services[0], method: method, body: 25_000, chunked: !declared}
		a.order = order{id: 3, size: 30_000, status: 201, pieces: 2, declared: declared}
		var r result
		err := c.over(a, &r, func(l *link, r *result) error {
			if err := c.write(l, a, true); err != nil {
				return err
			}
			return l.receive(a, -1, r)
		})
		if !errors.Is(err, want) || r.pid == 0 || j.requests != 1 {
			t.Errorf("%s, declared %v: got %v, %+v, want %v", method, declared, err, r, want)
		}
	}
	field := func(name, value string) func(http.ResponseWriter) http.ResponseWriter {
		return func(w http.ResponseWriter) http.ResponseWriter {
			return &spoiler{ResponseWriter: w, name: name, value: value}
		}
	}
	short := func(w http.ResponseWriter) http.ResponseWriter { return &spoiler{ResponseWriter: w, room: 20_000} }
	other := func(w http.ResponseWriter) http.ResponseWriter { return &spoiler{ResponseWriter: w, wrong: true} }
	for _, declared := range []bool{false, true} {
		f(field("X-Other", "1"), http.MethodPost, declared, nil)
		f(field("X-Other", "1"), http.MethodGet, declared, nil)
		f(field("X-Other", "1"), http.MethodHead, declared, nil)
		f(field(fieldID, "4"), http.MethodGet, declared, errForeign)
		f(field(fieldBody, "x"), http.MethodPost, declared, errBody)
		f(other, http.MethodPost, declared, errByte)
	}
	f(short, http.MethodGet, false, errShort)
	f(short, http.MethodGet, true, io.ErrUnexpectedEOF)
	f(field("Content-Length", strconv.Itoa(29_999)), http.MethodHead, true, errLength)
}

// A spoiler changes an answer on its way.
type spoiler struct {
	http.ResponseWriter

	name, value string // of a field
	wrong       bool   // the body
	room        int    // for the body, if not 0
}

func (s *spoiler) WriteHeader(status int) {
	if s.name != "" {
		s.Header().Set(s.name, s.value)
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *spoiler) Write(b []byte) (int, error) {
	switch text := string(b); {
	case s.room > 0:
		n := min(s.room-1, len(b))
		s.room -= n
		_, err := s.ResponseWriter.Write(b[:n])
		return len(b), err
	case s.wrong:
		return io.WriteString(s.ResponseWriter, strings.ToUpper(text))
	default:
		return s.ResponseWriter.Write(b)
	}
}
