package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"spillway/deploy/internal/loss"
)

// A result is how a request ended.
type result struct {
	service      string
	method       string
	began, ended time.Time
	status       int   // of the answer; 0: there was none
	pid          int   // of the process whose answer it is; 0: spillway's own
	err          error // what was wrong with it; nil: it is complete, and every byte is right
}

// The verdicts on a request. Each is counted by its kind: what was excused, or what failed.
type verdict int

const (
	right verdict = iota
	excused
	failed
)

// judge says whether a request ended as it has to. What is not right has an excuse in two cases: its process was killed after
// the client had a part of the answer, and the client can tell; or spillway says that it got none, of a request that must not
// be sent twice, or that was at two processes that were killed.
func (k *kills) judge(r *result) (verdict, string) {
	switch {
	case r.err == nil && r.pid != 0:
		return right, ""
	case r.err == nil && isRefusal(r.status) && k.during(r.service, r.began, r.ended) >= needed(r.method):
		return excused, fmt.Sprintf("status %d for a %s at a killed process", r.status, r.method)
	case r.err != nil && r.pid != 0 && isCut(r.err) && k.killed(r.pid):
		return excused, "cut, with its process killed"
	case r.err != nil:
		return failed, fmt.Sprintf("%s: %s: %s", r.service, r.method, loss.KindOf(r.err))
	default:
		return failed, fmt.Sprintf("%s: %s: status %d", r.service, r.method, r.status)
	}
}

// needed is how many kills excuse a request that was refused: one that can be sent again survives the first.
func needed(method string) int {
	if method == http.MethodPost {
		return 1
	}
	return 2
}

func isRefusal(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// isCut says that an answer ended early, and that its reader was told so.
func isCut(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// kills are the ends of processes that were brought about, and nobody else's.
type kills struct {
	mu   sync.Mutex // guards all below
	pids map[int]bool
	list []*kill
}

type kill struct {
	service   string
	processes int
	from, to  time.Time // to is zero as long as it goes on
}

// begin notes that processes are about to be killed; over is called when spillway knows of it. The pid is that of the only
// one, or 0 when it is not known: then no answer is cut by it.
func (k *kills) begin(service string, pid, processes int) (over func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pids[pid] = true // 0 is no answer's
	one := &kill{service: service, processes: processes, from: time.Now()}
	k.list = append(k.list, one)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		one.to = time.Now()
	}
}

func (k *kills) killed(pid int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pids[pid]
}

// during is how many processes of a service were killed at some time of a request.
func (k *kills) during(service string, from, to time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, one := range k.list {
		if one.service == service && !one.from.After(to) && (one.to.IsZero() || !one.to.Before(from)) {
			n += one.processes
		}
	}
	return n
}

// details is how many failures are told of one by one.
const details = 20

// A journal is what all clients together have seen.
type journal struct {
	kills kills
	out   io.Writer // for failures as they happen

	mu       sync.Mutex // guards all below
	requests int        // whose head has left a client
	done     map[string]int
	excused  map[string]int
	failures map[string]int
	told     int
}

func newJournal() *journal {
	return &journal{
		kills: kills{pids: map[int]bool{}}, out: os.Stderr,
		done: map[string]int{}, excused: map[string]int{}, failures: map[string]int{},
	}
}

// sent counts a request that has left.
func (j *journal) sent() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests++
}

// note judges a request; what is its kind in the report.
func (j *journal) note(what, target string, r *result) {
	verdict, why := j.kills.judge(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch verdict {
	case right:
		j.done[what]++
	case excused:
		j.excused[why]++
	case failed:
		j.fail(what+" "+why, fmt.Sprintf("%s %s, pid %d, status %d, took %v: %v", r.method, target, r.pid, r.status,
			r.ended.Sub(r.began).Round(time.Millisecond), r.err))
	}
}

// wrong notes a failure that is no request's.
func (j *journal) wrong(kind, detail string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail(kind, detail)
}

func (j *journal) fail(kind, detail string) {
	j.failures[kind]++
	if j.told++; j.told <= details {
		_, _ = fmt.Fprintf(j.out, "%s %s: %s\n", time.Now().Format("15:04:05.000"), kind, detail)
	}
}
