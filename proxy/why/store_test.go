package why_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/routing"
	"spillway/proxy/why"
)

var start = time.Date(2026, 11, 28, 1, 12, 3, 0, time.UTC)

// fronts makes exchanges that are incidents.
type fronts struct{ *proxy.Front }

func newFronts(tb testing.TB) *fronts {
	tb.Helper()
	var routes routing.Builder[*proxy.Route]
	front, err := proxy.New(proxy.Options{Routes: routes.Build(), Log: slog.New(slog.DiscardHandler), Incidents: proxy.NewIncidents()})
	if err != nil {
		tb.Fatal(err)
	}
	return &fronts{front}
}

// incident returns a finished exchange that is answered with 502.
func (f *fronts) incident(target string, attempts ...proxy.Attempt) *proxy.Exchange {
	ex := &proxy.Exchange{
		Request: &fasthttp.RequestHeader{}, Response: &fasthttp.ResponseHeader{}, RemoteAddr: "10.0.0.7",
		Method: []byte("GET"), Target: []byte(target), Proto: []byte("HTTP/1.1"), Host: []byte("shop.test"), Start: start,
	}
	ex.Request.Set("Cookie", "secret")
	ex.Request.Set("Authorization", "secret")
	f.Refuse(ex, &proxy.StatusError{Code: 502, Cause: proxy.CauseFailed})
	ex.Upstream, ex.Attempts = "app", attempts
	ex.Finish(nil)
	ex.End = start.Add(time.Second)
	return ex
}

func find(t *testing.T, s *why.Store, id string) why.Report {
	t.Helper()
	r, err := s.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStore_KeepsWhatALogHasAndNoSecret(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	ex := f.incident("/shop?x=1", proxy.Attempt{
		Peer: "127.0.0.1:9003", Began: start.Add(time.Millisecond), Status: 502, Connect: 2 * time.Millisecond, Head: -1,
		Response: 5 * time.Millisecond, Received: 7, Phase: "reading upstream", Err: errors.New("broken"),
	})
	s.Observe(ex)
	r := find(t, s, strings.ToUpper(ex.Why()))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"` + ex.Why() + `","time":"2026-11-28T01:12:03Z","took":1,"exchange":0,"client":"10.0.0.7",` +
		`"request":"GET /shop?x=1 HTTP/1.1","host":"shop.test","upstream":"app","status":502,"cause":"failed","bytes":0,` +
		`"attempts":[{"peer":"127.0.0.1:9003","after":0.001,"status":502,"phase":"reading upstream","error":"broken",` +
		`"connect":0.002,"response":0.005,"bytes":7}]}`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestStore_KeepsNothingOfAGoodExchange(t *testing.T) {
	s := why.New(why.Limits{Keep: 10, Bytes: 1 << 20})
	s.Observe(&proxy.Exchange{})
	if list := s.List(); list.Kept != 0 {
		t.Errorf("got %+v, want nothing", list)
	}
}

func TestStore_DropsTheOldest(t *testing.T) {
	f := func(name string, limits why.Limits, target string, least, most int) {
		t.Helper()
		s, fronts := why.New(limits), newFronts(t)
		var ids []string
		for i := range 100 {
			ex := fronts.incident(fmt.Sprint(target, i))
			ex.Start = start.Add(time.Duration(i) * time.Second)
			s.Observe(ex)
			ids = append(ids, ex.Why())
		}
		list := s.List()
		if list.Kept < least || list.Kept > most || list.Bytes > limits.Bytes || len(list.Requests) != list.Kept {
			t.Errorf("%s: got %d kept, %d listed, %d bytes, want %d to %d", name, list.Kept, len(list.Requests), list.Bytes, least, most)
		}
		if got := list.Requests[0].ID; got != ids[99] {
			t.Errorf("%s: got %s first, want the newest, %s", name, got, ids[99])
		}
		if want := start.Add(time.Duration(99-list.Kept) * time.Second); !list.Since.Equal(want) {
			t.Errorf("%s: got since %v, want the time of the last that was dropped, %v", name, list.Since, want)
		}
		find(t, s, ids[100-list.Kept])
		_, err := s.Find(ids[99-list.Kept])
		want := fmt.Sprintf("nothing is known of %s: kept are the requests that have failed since %s (%d)", ids[99-list.Kept],
			list.Since.Local().Format(time.DateTime), list.Kept)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	f("by number", why.Limits{Keep: 7, Bytes: 1 << 20}, "/", 7, 7)
	f("by bytes", why.Limits{Keep: 1000, Bytes: 64 << 10}, "/"+strings.Repeat("x", 5000), 15, 20) // of 48 KiB for records that are cut to 2
}

func TestStore_LimitCanBeLoweredToNothing(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	ex := f.incident("/")
	s.Observe(ex)
	s.Ended(ended("app", 3, 1, start))
	s.Limit(why.Limits{})
	if kept, bytes := s.Stats(); kept != 0 || bytes != 0 {
		t.Errorf("got %d records, %d bytes, want none", kept, bytes)
	}
	_, err := s.Find(ex.Why())
	if want := "nothing is known of " + ex.Why() + ": the configuration says why: off"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestStore_SaysWhatAnIDIs(t *testing.T) {
	s := why.New(why.Limits{Keep: 10, Bytes: 1 << 20})
	_, err := s.Find("all of them")
	if want := `no id: "all of them"; want 8 letters and digits, such as k7m39pqx`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = s.Find("k7m39pqx")
	if err == nil || !strings.HasPrefix(err.Error(), "nothing is known of k7m39pqx: no request has failed since 20") {
		t.Errorf("got %v, want that nothing has failed", err)
	}
}

// ended is a process that has ended.
func ended(upstream string, pid, number int, at time.Time) why.Process {
	return why.Process{
		Upstream: upstream, Number: number, Port: 9000 + number, PID: pid, Ended: &at, Exit: "exit code 3", Reason: "exited",
		Output: []string{"the end of " + fmt.Sprint(pid)},
	}
}

func living(upstream string, pid, number int) why.Process {
	return why.Process{Upstream: upstream, Number: number, Port: 9000 + number, PID: pid}
}

// The process of an attempt is the one that had it, not the one that has its port by now.
func TestStore_ShowsTheProcessThatHadTheRequest(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	s.Serves(1, living("app", 100, 1), nil)
	s.Serves(2, living("app", 101, 2), nil)
	ex := f.incident("/", proxy.Attempt{Peer: "127.0.0.1:9001", Run: 1}, proxy.Attempt{Peer: "127.0.0.1:9002", Run: 2},
		proxy.Attempt{Peer: "127.0.0.1:9003", Run: 99})
	s.Observe(ex)
	if p := find(t, s, ex.Why()).Attempts[0].Process; p == nil || p.PID != 100 || p.Ended != nil {
		t.Errorf("got %+v, want process 100, which runs", p)
	}
	s.Ended(ended("app", 100, 1, start))    // a moment later
	s.Serves(3, living("app", 102, 1), nil) // its successor, at the same port
	r := find(t, s, ex.Why())
	if p := r.Attempts[0].Process; p == nil || p.PID != 100 || p.Exit != "exit code 3" || p.Output[0] != "the end of 100" {
		t.Errorf("got %+v, want process 100, which has ended", p)
	}
	if p := r.Attempts[1].Process; p == nil || p.PID != 101 || p.Ended != nil {
		t.Errorf("got %+v, want process 101, which runs", p)
	}
	if p := r.Attempts[2].Process; p != nil || r.LastExit != nil {
		t.Errorf("got %+v, %+v, want nothing of a process that is not known", p, r.LastExit)
	}
}

// A reload makes another group, whose peers know the same process by another run.
func TestStore_KnowsAProcessByAllItsRuns(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	s.Serves(1, living("app", 100, 1), nil)
	s.Serves(2, living("app", 100, 1), nil)
	s.Ended(ended("app", 100, 1, start))
	for _, run := range []uint64{1, 2} {
		ex := f.incident("/", proxy.Attempt{Run: run})
		s.Observe(ex)
		if p := find(t, s, ex.Why()).Attempts[0].Process; p == nil || p.PID != 100 || p.Ended == nil {
			t.Errorf("run %d: got %+v, want process 100", run, p)
		}
	}
}

func TestStore_TellsWhichProcessEndedLastToARequestThatGotNone(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	ex := f.incident("/", proxy.Attempt{Peer: "app"})
	s.Observe(ex)
	check := func(pid int) {
		t.Helper()
		got := 0
		if p := find(t, s, ex.Why()).LastExit; p != nil {
			got = p.PID
		}
		if got != pid {
			t.Errorf("got process %d, want %d", got, pid)
		}
	}
	check(0)
	s.Ended(ended("other", 99, 1, start))
	check(0)
	s.Ended(ended("app", 100, 1, start.Add(-time.Hour)))
	s.Ended(ended("app", 101, 2, start.Add(-time.Minute)))
	check(101)
	s.Ended(ended("app", 102, 3, start.Add(time.Minute)))
	check(101)
}

// An error page may come from another upstream; the incident is that of the first failure.
func TestStore_NamesTheUpstreamThatFailed(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	ex := f.incident("/",
		proxy.Attempt{Upstream: "shop", Peer: "127.0.0.1:9001", Status: 502, Err: errors.New("refused")},
		proxy.Attempt{Upstream: "app", Peer: "127.0.0.1:9100", Status: 200})
	s.Observe(ex)
	if got, listed := find(t, s, ex.Why()).Upstream, s.List().Requests[0].Upstream; got != "shop" || listed != "shop" {
		t.Errorf("got %s, in the list %s, want shop", got, listed)
	}
}

// A request that is refused for what others like it have done to processes shows those, and not the one that ended last.
func TestStore_ShowsTheProcessesThatARefusedRequestHasEnded(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	s.Serves(1, living("app", 100, 1), nil)
	s.Ended(ended("app", 100, 1, start.Add(-time.Minute)))
	s.Ended(ended("app", 101, 2, start.Add(-time.Second)))
	ex := f.incident("/", proxy.Attempt{Peer: "app"})
	ex.Cause, ex.Killed = proxy.CausePoison, []uint64{1, 99}
	s.Observe(ex)
	r := find(t, s, ex.Why())
	if len(r.Killed) != 1 || r.Killed[0].PID != 100 || r.LastExit != nil {
		t.Errorf("got %+v, %+v, want process 100 only", r.Killed, r.LastExit)
	}
}

// A process that ends again and again before it gets a request does not push out those that had some.
func TestStore_KeepsOneEndOfAProcessThatNeverServed(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 3, Bytes: 1 << 20}), newFronts(t)
	s.Serves(1, living("app", 100, 1), nil)
	s.Ended(ended("app", 100, 1, start))
	_, before := s.Stats()
	for pid := range 50 {
		s.Ended(ended("app", 200+pid, 1, start.Add(time.Second)))
	}
	if _, bytes := s.Stats(); bytes > 3*before {
		t.Errorf("got %d bytes after one end of %d", bytes, before)
	}
	ex := f.incident("/", proxy.Attempt{Run: 1})
	s.Observe(ex)
	if p := find(t, s, ex.Why()).Attempts[0].Process; p == nil || p.PID != 100 {
		t.Errorf("got %+v, want process 100", p)
	}
}

func TestStore_BoundsWhatProcessesLeave(t *testing.T) {
	s := why.New(why.Limits{Keep: 1000, Bytes: 64 << 10})
	for pid := range 100 {
		s.Serves(uint64(pid), living("app", pid, 1), nil)
		p := ended("app", pid, 1, start)
		p.Output = []string{strings.Repeat("x", 4000)}
		s.Ended(p)
	}
	if _, bytes := s.Stats(); bytes > 16<<10 || bytes < 8<<10 {
		t.Errorf("got %d bytes, want some, and at most a quarter of 64 KiB", bytes)
	}
}

// What a running process writes while it has a request is kept with the request, also when the process writes on.
func TestStore_KeepsWhatTheProcessWroteMeanwhile(t *testing.T) {
	s, f := why.New(why.Limits{Keep: 10, Bytes: 1 << 20}), newFronts(t)
	var wrote []string
	s.Serves(1, living("app", 100, 1), func(from, to time.Time) []string {
		if !from.Equal(start) || to.Before(start.Add(time.Second)) || to.After(start.Add(2*time.Second)) {
			t.Errorf("asked for %v to %v, want from the begin of the request to its end", from, to)
		}
		return wrote
	})
	ex := f.incident("/", proxy.Attempt{Run: 1})
	check := func(want ...string) {
		t.Helper()
		if got := find(t, s, ex.Why()).Attempts[0].Output; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s.Observe(ex)
	check()
	wrote = []string{strings.Repeat("x", 2040), "Traceback", "KeyError"} // was read a moment later
	check("Traceback", "KeyError")
	wrote = nil // others have written since
	check("Traceback", "KeyError")

	wrote = []string{"at once"}
	ex = f.incident("/", proxy.Attempt{Run: 1})
	s.Observe(ex)
	wrote = nil
	check("at once")
	s.Ended(ended("app", 100, 1, start))
	check("at once")
}
