package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKills_Judge(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	k := &kills{pids: map[int]bool{7: true}, list: []*kill{
		{"a", 1, at(10), at(20)}, {"a", 1, at(30), at(40)}, {"a", 2, at(90), time.Time{}}, {"b", 2, at(0), at(100)},
	}}
	const get, post = http.MethodGet, http.MethodPost
	none := func(method string, status, from, to int) *result {
		return &result{service: "a", method: method, status: status, began: at(from), ended: at(to)}
	}
	answer := func(pid int, err error) *result {
		return &result{service: "a", method: get, status: 200, pid: pid, began: at(10), ended: at(40), err: err}
	}
	f := func(r *result, want verdict, why string) {
		t.Helper()
		if got, text := k.judge(r); got != want || text != why {
			t.Errorf("%+v: got %d, %q, want %d, %q", r, got, text, want, why)
		}
	}
	f(answer(1, nil), right, "")

	f(none(post, 502, 15, 16), excused, "status 502 for a POST at a killed process")
	f(none(post, 504, 20, 29), excused, "status 504 for a POST at a killed process")
	f(none(post, 503, 95, 99), excused, "status 503 for a POST at a killed process")
	f(none(get, 502, 15, 30), excused, "status 502 for a GET at a killed process")
	f(none(get, 503, 95, 99), excused, "status 503 for a GET at a killed process")
	f(none(post, 502, 21, 29), failed, "a: POST: status 502")
	f(none(post, 500, 15, 16), failed, "a: POST: status 500")
	f(none(post, 200, 15, 16), failed, "a: POST: status 200")
	f(none(get, 502, 10, 29), failed, "a: GET: status 502")
	f(none(get, 0, 0, 0), failed, "a: GET: status 0")

	f(answer(7, io.ErrUnexpectedEOF), excused, "cut, with its process killed")
	f(answer(7, fmt.Errorf("read: %w", syscall.ECONNRESET)), excused, "cut, with its process killed")
	f(answer(8, io.ErrUnexpectedEOF), failed, "a: GET: connection closed early")
	f(answer(7, errShort), failed, "a: GET: a short body that looks complete")
	f(answer(7, errByte), failed, "a: GET: a wrong byte")
	f(answer(7, os.ErrDeadlineExceeded), failed, "a: GET: no answer in time")
	f(answer(0, io.EOF), failed, "a: GET: connection closed early")
}

func TestReport_SaysWhatWasWrong(t *testing.T) {
	f := func(change func(*report), want string) {
		t.Helper()
		j := newJournal()
		j.requests, j.done["exchange"], j.out = 100, 99, io.Discard
		r := &report{
			journal: j, counted: 100, logged: 100, length: time.Second, deeds: map[string]int{"reloads": 2},
			memory: []sample{{0, 1 << 20}, {time.Minute, 3 << 20}, {2 * time.Minute, 5 << 20}, {3 * time.Minute, 7 << 20}},
		}
		change(r)
		var out strings.Builder
		if got := fmt.Sprint(r.write(&out)); got != want || !strings.Contains(out.String(), "2 × reloads") ||
			!strings.Contains(out.String(), "7.0 at most, 0.0 after; slope of the second half +2.00 MiB/min") {
			t.Errorf("got %q and\n%s\nwant %q", got, out.String(), want)
		}
	}
	f(func(*report) {}, "<nil>")
	f(func(r *report) { r.journal.note("exchange", "/a/1", &result{method: "GET", status: 502}) }, "1 requests failed")
	f(func(r *report) { r.counted-- }, "of 100 requests 99 were counted and 100 logged")
	f(func(r *report) { r.logged++ }, "of 100 requests 100 were counted and 101 logged")
	f(func(r *report) { r.twice = 2 }, "2 POSTs were done twice")
	f(func(r *report) { r.leaks = []string{"1 spill files open"} }, "left over: 1 spill files open")
}

func TestLeaksOf(t *testing.T) {
	var now status
	before := usage{goroutines: 10, files: 10}
	f := func(want ...string) {
		t.Helper()
		if got := leaksOf(&now, before, usage{goroutines: 10 + room, files: 11 + room}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(fmt.Sprintf("%d open files, 10 at the start", 11+room))
	now.Upstreams = make([]upstreamStatus, 1)
	now.Upstreams[0].Name, now.Upstreams[0].Idle = "a", 1
	f()
	now.Upstreams[0].Queue.Waiting = 2
	now.Upstreams[0].Peers = []peerStatus{{Address: "x", Inflight: 3}}
	now.Buffers.InUse, now.Temp.InUse, now.Temp.Files = 4, 5, 6
	f("4 bytes of buffers in use", "5 bytes of spill files in use", "6 spill files open",
		"2 requests wait for a", "3 slots in use at a x")
}

func TestSite_FindsWhatWasDoneTwice(t *testing.T) {
	s := &site{posts: filepath.Join(t.TempDir(), "posts")}
	t.Setenv(postsName, s.posts)
	for _, id := range []uint64{1, 2, 12, 1, 1} {
		if err := remember(id); err != nil {
			t.Fatal(err)
		}
	}
	if posts, twice, err := s.repeated(); posts != 3 || twice != 2 || err != nil {
		t.Errorf("got %d, %d, %v, want 3 and 2", posts, twice, err)
	}
}
