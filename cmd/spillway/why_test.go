//go:build linux && !race

package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What a client is told of a failure leads to what is known of it.

// whyLog is an access log with what the tests look for.
const whyLog = `access_log: {path: logs/access.log, format: "$uri $status $why"}`

// failure is what a client got.
type failure struct {
	page   string
	status int
	id     string // in the field
	body   string
	err    error
}

// ask asks for a page that fails. Any goroutine may.
func (s *site) ask(page string) failure {
	f := failure{page: page}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/"+page, http.NoBody)
	if err != nil {
		f.err = err
		return f
	}
	resp, err := s.client.Do(req)
	if err != nil {
		f.err = err
		return f
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	f.status, f.id, f.body, f.err = resp.StatusCode, resp.Header.Get("X-Spillway-Why"), string(body), err
	return f
}

// noted checks that the field and the access log have the same id and, when the answer is spillway's own, the page and a line of
// the error log, too. It returns the id.
func (s *site) noted(t *testing.T, f failure, status int, ours bool) string {
	t.Helper()
	if f.err != nil || f.status != status || !regexp.MustCompile(`^[0-9a-z]{8}$`).MatchString(f.id) {
		t.Fatalf("got %d, id %q, %v, want %d and an id", f.status, f.id, f.err, status)
	}
	if ours {
		if !strings.Contains(f.body, "reference "+f.id) {
			t.Errorf("got page %s, want %s in it", f.body, f.id)
		}
		s.logged(t, "error", `.*, client: 127\.0\.0\.1, .*, why: "`+f.id+`"`)
	}
	path, _, _ := strings.Cut(f.page, "?")
	eventually(t, "the access log has the id", func() bool {
		text, err := os.ReadFile(filepath.Join(s.dir, "logs", "access.log"))
		return err == nil && strings.Contains(string(text), "/"+path+" "+strconv.Itoa(status)+" "+f.id+"\n")
	})
	return f.id
}

// fails asks for a page and returns the id under which all is noted.
func (s *site) fails(t *testing.T, page string, status int, ours bool) string {
	t.Helper()
	return s.noted(t, s.ask(page), status, ours)
}

// explained waits for what the command says of an id.
func (s *site) explained(t *testing.T, id, pattern string) {
	t.Helper()
	report := regexp.MustCompile(`(?s)^` + pattern + `$`)
	text := ""
	eventually(t, "why "+id+" tells "+pattern, func() bool {
		text = s.command(t, "why", id).stdout
		return report.MatchString(text)
	})
}

func TestWhy_AProcessThatHasEndedWithTheRequest(t *testing.T) {
	s, admin := servingFaulty(t, faulty{upstream: "next_upstream: off", more: whyLog})
	process := func() string { return strconv.Itoa(readyPIDs(t, admin)[0]) }

	pid := process()
	id := s.fails(t, "crash?x=1", http.StatusBadGateway, true)
	s.explained(t, id, id+`: 502 Bad Gateway for GET /crash\?x=1 HTTP/1\.1\n.*`+
		`\n127\.0\.0\.1:\d+ broke off while spillway was reading response header from upstream: upstream prematurely closed connection\.\n`+
		`Process 1 of app \(pid `+pid+`, port \d+\) had the request; it ended with exit code 3, .*`+
		`\nthe last output of process 1 of app \(pid `+pid+`, port \d+\):\n`+
		`  \| Traceback \(most recent call last\):\n  \|   KeyError: 'x'\n`)

	s.awaitHello(t)
	eventually(t, "the next process is ready", func() bool { return len(readyPIDs(t, admin)) == 1 })
	pid = process()
	held := make(chan failure, 1)
	go func() { held <- s.ask("await?file=never") }() // ends with the answer
	eventually(t, "the process has the request", func() bool { return peers(t, admin)[0].Inflight == 1 })
	killed, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	kill(t, killed)
	id = s.noted(t, <-held, http.StatusBadGateway, true)
	s.awaitHello(t) // its successor has the port by now
	s.explained(t, id, id+`: 502 .*\nProcess 1 of app \(pid `+pid+`, port \d+\) had the request; it ended with signal SIGKILL, .*`)
}

func TestWhy_AProcessThatRuns(t *testing.T) {
	s, admin := servingFaulty(t, faulty{upstream: "next_upstream: off\n    max_fails: 0\n    read_timeout: 300ms", more: whyLog})
	pid := strconv.Itoa(readyPIDs(t, admin)[0])
	id := s.fails(t, "stuck", http.StatusGatewayTimeout, true)
	s.explained(t, strings.ToUpper(id[:4]+"-"+id[4:]), id+`: 504 .*\n127\.0\.0\.1:\d+ took too long while spillway was reading response header .*`+
		`\nProcess 1 of app \(pid `+pid+`, port \d+\) had the request and still runs\..*`)
	id = s.fails(t, "broken", http.StatusInternalServerError, false)
	s.explained(t, id, id+`: 500 .*\nThe application answered so itself: 127\.0\.0\.1:\d+ sent 500\..*`+
		`\nwhat process 1 of app \(pid `+pid+`, port \d+\) wrote meanwhile:\n  \| Internal Server Error: /broken\n`)
}

func TestWhy_AFullQueue(t *testing.T) {
	s, admin := servingFaulty(t, faulty{upstream: "concurrency: 1\n    queue: {length: 1, per_client: off, timeout: 1h}", more: whyLog})
	running := s.getAsync("await?file=go")
	eventually(t, "the process is busy", func() bool { return peers(t, admin)[0].Inflight == 1 })
	waiting := s.getAsync("await?file=go")
	eventually(t, "a request waits", func() bool {
		return regexp.MustCompile(`"waiting": ?1\b`).MatchString(s.command(t, "status", "--json").stdout)
	})
	id := s.fails(t, "hello", http.StatusServiceUnavailable, true)
	s.explained(t, id, id+`: 503 .*\nThe queue of app was full\.\nAt the first failure 1 of 1 peers were up, with 1 request in flight; 1 of 1 requests waited\..*`)
	letGo(t, s.dir)
	for _, got := range []<-chan answer{running, waiting} {
		if a := <-got; a.status != http.StatusOK {
			t.Errorf("got %d %q", a.status, a.body)
		}
	}
}

// The list and both forms of JSON, by the command and by the admin listener, say the same.
func TestWhy_ListAndJSON(t *testing.T) {
	s, admin := servingFaulty(t, faulty{more: whyLog})
	s.command(t, "why").want(t, 0, "nothing has failed since .*\n", "")
	id := s.fails(t, "broken", http.StatusInternalServerError, false)
	s.command(t, "why").want(t, 0, `ID +TIME +STATUS +REQUEST +UPSTREAM +CAUSE\n`+id+` +\S+ \S+ +500 +GET /broken HTTP/1\.1 +app +the application\n(?s:.*)`, "")
	s.command(t, "why", "00000000").want(t, 1, "", "spillway: nothing is known of 00000000: kept are the requests that have failed since .* [(]1[)]\n")
	s.command(t, "why", "x").want(t, 1, "", `spillway: no id: "x"; want 8 letters and digits, such as k7m39pqx\n`)

	id = s.fails(t, "broken", http.StatusInternalServerError, false)
	f := func(command []string, path string) {
		t.Helper()
		var said, served any
		if err := json.Unmarshal([]byte(s.command(t, command...).stdout), &said); err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Get("http://" + admin + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&served); err != nil {
			t.Fatal(err)
		}
		a, b := text(t, said), text(t, served)
		if a != b || !strings.Contains(a, `"id":"`+id+`"`) {
			t.Errorf("%s: got\n%s\n%q: got\n%s", path, b, command, a)
		}
	}
	f([]string{"why", "--json"}, "/why")
	f([]string{"why", "--json", id}, "/why/"+id)
	resp, err := s.client.Get("http://" + admin + "/why/00000000")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %d for an id that is not known, want 404", resp.StatusCode)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhy_Off(t *testing.T) {
	s, _ := servingFaulty(t, faulty{more: "why: off"})
	resp, err := s.client.Get(s.url + "/broken")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if id := resp.Header.Get("X-Spillway-Why"); id != "" {
		t.Errorf("got id %s", id)
	}
	s.command(t, "why", "k7m39pqx").want(t, 1, "", "spillway: nothing is known of k7m39pqx: the configuration says why: off\n")
}
