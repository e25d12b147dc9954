package main

import (
	"fmt"
	"strings"
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
