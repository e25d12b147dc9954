package resolve_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"spillway/upstream"
	"spillway/upstream/resolve"
	"spillway/upstream/resolve/dnstest"
)

// mute is a Protocol that is never spoken.
type mute struct{}

func (mute) Send(*upstream.Conn, *upstream.Request) error     { return nil }
func (mute) Receive(*upstream.Conn, *upstream.Response) error { return nil }

// dns is what a Follower asks in these tests.
type dns struct {
	mu     sync.Mutex // guards all below
	answer resolve.Answer
	err    error
	asked  []time.Time
}

func (d *dns) lookup(context.Context, resolve.Question, []resolve.Target) (resolve.Answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, time.Now())
	return d.answer, d.err
}

// set makes this the answer: addresses for as long as the TTL.
func (d *dns) set(ttl time.Duration, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer, d.err = resolve.Answer{TTL: ttl}, nil
	for _, address := range addresses {
		d.answer.Targets = append(d.answer.Targets, resolve.Target{Host: "app.test", Addr: netip.MustParseAddr(address)})
	}
}

func (d *dns) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// pauses are those between the lookups since the last call, in seconds.
func (d *dns) pauses() (seconds []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 1; i < len(d.asked); i++ {
		seconds = append(seconds, int(d.asked[i].Sub(d.asked[i-1]).Round(time.Second).Seconds()))
	}
	d.asked = d.asked[max(0, len(d.asked)-1):]
	return seconds
}

// following is a group whose peers a Follower cares for.
type following struct {
	*resolve.Follower
	t     *testing.T
	group *upstream.Group
	log   *lines
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what was logged since the last call, without the times.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for line := range strings.Lines(l.text.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, line)
	}
	l.text.Reset()
	return all
}

func newGroup(t *testing.T) *upstream.Group {
	t.Helper()
	group, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: mute{}})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// follow follows one name, app.test:8000 if not said otherwise.
func follow(t *testing.T, lookup func(context.Context, resolve.Question, []resolve.Target) (resolve.Answer, error), change ...func(*resolve.FollowerOptions)) *following {
	t.Helper()
	group, log := newGroup(t), &lines{}
	opts := resolve.FollowerOptions{
		Group: group, Lookup: lookup, Log: slog.New(slog.NewTextHandler(log, nil)),
		Names: []resolve.Name{{Question: resolve.Question{Name: "app.test"}, Port: 8000, Peer: upstream.PeerOptions{Weight: 3}}},
	}
	for _, c := range change {
		c(&opts)
	}
	f := &following{Follower: resolve.Follow(opts), t: t, group: group, log: log}
	t.Cleanup(f.Stop)
	if err := f.First(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// want checks the addresses of the peers.
func (f *following) want(addresses ...string) {
	f.t.Helper()
	var got []string
	for _, p := range f.group.Peers() {
		got = append(got, p.Address())
	}
	slices.Sort(got)
	if !slices.Equal(got, addresses) {
		f.t.Errorf("got peers %v, want %v", got, addresses)
	}
}

// wantLog checks what was logged since the last call.
func (f *following) wantLog(want ...string) {
	f.t.Helper()
	if got := f.log.take(); !slices.Equal(got, want) {
		f.t.Errorf("got log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFollower_PeersFollowTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		d.set(20*time.Second, "10.0.0.1")
		f := follow(t, d.lookup)
		f.want("10.0.0.1:8000")
		stays := f.group.Peers()[0]
		if stays.Name() != "app.test" || stays.Weight() != 3 {
			t.Errorf("got name %q, weight %d, want those of the configuration", stays.Name(), stays.Weight())
		}
		d.set(5*time.Second, "10.0.0.1", "10.0.0.2", "::1")
		pass(19 * time.Second)
		f.want("10.0.0.1:8000")
		pass(2 * time.Second)
		f.want("10.0.0.1:8000", "10.0.0.2:8000", "[::1]:8000")
		if f.group.Peers()[0] != stays {
			t.Error("a peer that stays was made anew")
		}
		f.wantLog(`level=INFO msg="peer added" upstream=app name=app.test:8000 peer=10.0.0.1:8000`,
			`level=INFO msg="peer added" upstream=app name=app.test:8000 peer=10.0.0.2:8000`,
			`level=INFO msg="peer added" upstream=app name=app.test:8000 peer=[::1]:8000`)
		d.set(5*time.Second, "10.0.0.2", "::1")
		pass(5 * time.Second)
		f.want("10.0.0.2:8000", "[::1]:8000")
		f.wantLog(`level=INFO msg="peer removed" upstream=app name=app.test:8000 peer=10.0.0.1:8000`)
		if stays.State() != upstream.Gone {
			t.Errorf("got a removed peer %v, want gone", stays.State())
		}
		if got := d.pauses(); !slices.Equal(got, []int{20, 5}) {
			t.Errorf("asked after %v seconds, want the TTLs 20 and 5", got)
		}
		f.Stop()
		pass(time.Hour)
		if got := d.pauses(); len(got) != 0 {
			t.Errorf("asked %d times after Stop", len(got))
		}
	})
}

// TestFollower_KeepsTheLastAnswer while there is none of use, and tells of it once in a while.
func TestFollower_KeepsTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		d.set(10*time.Second, "10.0.0.1")
		f := follow(t, d.lookup)
		f.log.take()
		d.fail(errors.New("no answer"))
		pass(10500 * time.Millisecond)
		f.wantLog(`level=WARN msg="name not refreshed" upstream=app name=app.test:8000 age=10s err="no answer"`)
		d.pauses()
		pass(2 * time.Minute)
		if got := d.pauses(); !slices.Equal(got[:7], []int{1, 2, 4, 8, 16, 30, 30}) {
			t.Errorf("asked again after %v seconds, want pauses that double", got)
		}
		f.wantLog()
		d.set(10 * time.Second) // an answer with nothing in it is no better
		pass(9 * time.Minute)
		f.want("10.0.0.1:8000")
		if got := f.log.take(); len(got) != 1 || !strings.HasPrefix(got[0], `level=WARN msg="name not refreshed" upstream=app name=app.test:8000 age=10m`) ||
			!strings.HasSuffix(got[0], `err="DNS knows no address of it"`) {
			t.Errorf("got %q, want one line after ten minutes", got)
		}
		status := f.Status()[0]
		if status.Addresses != 1 || status.Err == nil || status.Failures < 8 || status.Empty == 0 || status.Answers != 1 {
			t.Errorf("got %+v, want one address from the only answer", status)
		}
		d.set(10*time.Second, "10.0.0.1", "10.0.0.2")
		pass(time.Minute)
		f.want("10.0.0.1:8000", "10.0.0.2:8000")
		if got := f.log.take(); len(got) != 2 || !strings.HasPrefix(got[1], `level=WARN msg="name resolved again" upstream=app name=app.test:8000 addresses=2 took=11m`) {
			t.Errorf("got %q, want a new peer and the end of the failures", got)
		}
		if status := f.Status()[0]; status.Err != nil || status.Addresses != 2 {
			t.Errorf("got %+v, want no error any more", status)
		}
	})
}

func TestFollower_StartsWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		d.set(0)
		f := follow(t, d.lookup)
		f.want()
		f.wantLog(`level=ERROR msg="name not resolved" upstream=app name=app.test:8000 err="DNS knows no address of it"`)
		d.set(10*time.Second, "10.0.0.1")
		pass(2 * time.Second)
		f.want("10.0.0.1:8000")
	})
}

func TestFollower_Once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		d.fail(errors.New("no answer"))
		f := follow(t, d.lookup, func(o *resolve.FollowerOptions) { o.Names[0].Once = true })
		d.set(time.Second, "10.0.0.1")
		pass(2 * time.Second)
		d.set(time.Second, "10.0.0.2")
		pass(time.Hour)
		f.want("10.0.0.1:8000")
		if status := f.Status()[0]; !status.Next.IsZero() || status.Answers != 1 {
			t.Errorf("got %+v, want nobody to ask again", status)
		}
	})
}

// TestFollower_TakesOverFromAnother: a reload while DNS is silent costs no peer.
func TestFollower_TakesOverFromAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		d.set(time.Minute, "10.0.0.1")
		first := follow(t, d.lookup)
		d.fail(errors.New("no answer"))
		second := follow(t, d.lookup, func(o *resolve.FollowerOptions) { o.Before, o.Names[0].Port = first.Follower, 9000 })
		second.want("10.0.0.1:9000")
		first.want("10.0.0.1:8000")
		second.wantLog(`level=INFO msg="peer added" upstream=app name=app.test:9000 peer=10.0.0.1:9000`,
			`level=WARN msg="name not refreshed" upstream=app name=app.test:9000 age=0s err="no answer"`)
		other := follow(t, d.lookup, func(o *resolve.FollowerOptions) { o.Before, o.Names[0].Name = first.Follower, "other.test" })
		other.want()
	})
}

// TestFollower_ForgetsTheOneBefore, or each reload would keep the groups of all others.
func TestFollower_ForgetsTheOneBefore(t *testing.T) {
	d := &dns{}
	d.set(time.Hour, "10.0.0.1")
	takeOver := func() (*following, weak.Pointer[resolve.Follower]) {
		before := resolve.Follow(resolve.FollowerOptions{Group: newGroup(t), Lookup: d.lookup, Log: slog.New(slog.DiscardHandler)})
		before.Stop()
		return follow(t, d.lookup, func(o *resolve.FollowerOptions) { o.Before = before }), weak.Make(before)
	}
	f, before := takeOver()
	for deadline := time.Now().Add(time.Minute); before.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("it is still there")
		}
	}
	runtime.KeepAlive(f)
}

func TestFollower_Services(t *testing.T) {
	s := dnstest.New(t)
	s.Set("one.test", dnstest.Records{TTL: 1, Addresses: []string{"10.0.0.1"}})
	s.Set("two.test", dnstest.Records{TTL: 1, Addresses: []string{"10.0.0.2"}})
	records := dnstest.Records{TTL: 1, Services: []dnstest.Service{
		{Target: "one.test", Port: 8001, Priority: 1, Weight: 4}, {Target: "two.test", Port: 8002, Priority: 2, Weight: 1},
	}}
	s.Set("_http._tcp.app.test", records)
	service := func(backup bool) func(*resolve.FollowerOptions) {
		return func(o *resolve.FollowerOptions) {
			o.Names[0].Service, o.Names[0].Peer.Backup = "http", backup
		}
	}
	peers := func(f *following) (all []string) {
		for _, p := range f.group.Peers() {
			all = append(all, p.Address()+map[bool]string{true: " backup"}[p.Backup()]+strings.Repeat(" +", p.Weight()))
		}
		slices.Sort(all)
		return all
	}
	answers := make(chan struct{}, 100)
	f := follow(t, asking(s).Lookup, service(false), func(o *resolve.FollowerOptions) { o.OnAnswer = func() { answers <- struct{}{} } })
	<-answers
	if got, want := peers(f), []string{"10.0.0.1:8001 + + + +", "10.0.0.2:8002 backup +"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	b := follow(t, asking(s).Lookup, service(true))
	if got, want := peers(b), []string{"10.0.0.1:8001 backup + + + +"}; !slices.Equal(got, want) {
		t.Errorf("backup: got %q, want %q", got, want)
	}
	records.Services[0].Weight = 2
	s.Set("_http._tcp.app.test", records)
	want := []string{"10.0.0.1:8001 + +", "10.0.0.2:8002 backup +"}
	for lookups := 0; lookups < 5 && !slices.Equal(peers(f), want); lookups++ { // one may have been on its way
		select {
		case <-answers:
		case <-time.After(patience):
			t.Fatal("nobody asks any more")
		}
	}
	if got := peers(f); !slices.Equal(got, want) {
		t.Errorf("another weight: got %q, want %q", got, want)
	}
}
