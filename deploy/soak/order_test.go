package main

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestOrder_ComesBackFromItsTarget(t *testing.T) {
	f := func(o order, target string) {
		t.Helper()
		if got := o.target("/x/"); got != target {
			t.Errorf("got %s, want %s", got, target)
		}
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseOrder(u); err != nil || *got != o {
			t.Errorf("%s: got %+v, %v, want %+v", target, got, err, o)
		}
	}
	f(order{id: 1 << 60, size: 5, status: 200, pieces: 1}, "/x/1152921504606846976?size=5&status=200&wait=0&pieces=1")
	f(order{id: 1, status: 404, wait: time.Second, pieces: 2, declared: true, poison: true},
		"/x/1?size=0&status=404&wait=1000&pieces=2&declared=1&poison=1")
	if _, err := parseOrder(&url.URL{Path: "/x/1"}); err == nil {
		t.Error("got no error without a query")
	}
}

func TestComparison_TakesItsPatternAlone(t *testing.T) {
	text := make([]byte, 10_000)
	if _, err := io.ReadFull(answerTo(5), text); err != nil {
		t.Fatal(err)
	}
	f := func(id uint64, size, left int, want error) {
		t.Helper()
		c := &comparison{want: answerTo(id), left: size}
		_, err := io.Copy(c, struct{ io.Reader }{strings.NewReader(string(text))})
		if !errors.Is(err, want) || err == nil && c.left != left {
			t.Errorf("%d, %d bytes: got %v, %d left, want %v, %d", id, size, err, c.left, want, left)
		}
	}
	f(5, 10_000, 0, nil)
	f(5, 10_001, 1, nil)
	f(5, 9_999, 0, errByte)
	f(6, 10_000, 0, errByte)
	text[9_999] ^= 1
	f(5, 10_000, 0, errByte)
}

func TestReadCGI(t *testing.T) {
	want := map[string]string{"A": "b", "CC": ""}
	f := func(read func(*bufio.Reader) (map[string]string, error), text string, ok bool) {
		t.Helper()
		got, err := read(bufio.NewReader(strings.NewReader(text)))
		if ok != (err == nil) || ok && !maps.Equal(got, want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	f(readSCGI, "8:A\x00b\x00CC\x00\x00,body", true)
	for _, text := range []string{"", "8:", "x:", "8:A\x00b\x00CC\x00\x00;", "2:A\x00,", "9999999999:"} {
		f(readSCGI, text, false)
	}
	f(readUWSGI, "\x00\x0c\x00\x00\x01\x00A\x01\x00b\x02\x00CC\x00\x00body", true)
	for _, text := range []string{"", "\x00\x05\x00\x00\x01\x00A\x01\x00", "\x00\x03\x00\x00\x01\x00A", "\x00\x02\x00\x00\x01\x00"} {
		f(readUWSGI, text, false)
	}
}
