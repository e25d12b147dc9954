package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReport_SaysWhatWasLost(t *testing.T) {
	f := func(change func(*report), want string) {
		t.Helper()
		r := &report{
			requests: 100, counted: 100, logged: 100, length: time.Second, took: []time.Duration{time.Millisecond},
			failures: map[string]int{}, deeds: []deeds{{what: "reloads", count: 2, took: time.Second}},
		}
		change(r)
		var out strings.Builder
		if got := fmt.Sprint(r.write(&out)); got != want || !strings.Contains(out.String(), "2 reloads, mean 500ms") {
			t.Errorf("got %q and\n%s\nwant %q", got, out.String(), want)
		}
	}
	f(func(*report) {}, "<nil>")
	f(func(r *report) { r.failures["status 502"] = 3 }, "requests failed: 3 × status 502")
	f(func(r *report) { r.counted-- }, "of 100 requests 99 were counted and 100 logged")
	f(func(r *report) { r.logged++ }, "of 100 requests 100 were counted and 101 logged")
}

func TestKindOf(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if got := kindOf(fmt.Errorf("read: %w", err)); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	f(syscall.ECONNRESET, "connection reset")
	f(syscall.ECONNREFUSED, "connection refused")
	f(os.ErrDeadlineExceeded, "no answer in time")
	f(io.EOF, "connection closed early")
	f(statusError(503), "read: status 503")
}
