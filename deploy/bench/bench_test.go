package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spillway/deploy/internal/peers"
)

// The clients against a peer itself, without a proxy.
func TestOrder_CountsAnswers(t *testing.T) {
	f := func(o order) {
		t.Helper()
		set, err := peers.Start(t.Context(), "http", 1, answer(o.Size))
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		o.Addr, o.Conns, o.Length = set.Addrs[0], 4, 50*time.Millisecond
		all, err := connect(t.Context(), &o)
		defer closeAll(all)
		if err != nil {
			t.Fatal(err)
		}
		l, err := o.run(t.Context(), all)
		if err != nil || l.Requests == 0 || l.P99 < l.P50 || l.P999 < l.P99 {
			t.Errorf("got %+v, %v, want answers", l, err)
		}
		if want := int(o.Rate * o.Length.Seconds()); o.Rate > 0 && l.Requests != want {
			t.Errorf("got %d requests, want %d", l.Requests, want)
		}
	}
	f(order{Size: kilobyte})
	f(order{Size: kilobyte, Rate: 400})
	f(order{Size: kilobyte, Post: 100 * kilobyte})
	f(order{Size: kilobyte, Fresh: true})
	f(order{Size: 300 * kilobyte})
}

func TestOrder_OtherAnswerIsAnError(t *testing.T) {
	set, err := peers.Start(t.Context(), "http", 1, answer(kilobyte))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	all, err := connect(t.Context(), &order{Addr: set.Addrs[0], Conns: 1, Size: kilobyte + 1})
	defer closeAll(all)
	if err == nil {
		t.Error("got no error")
	}
}

// The slow ones count as requests, but not how long they have taken.
func TestOrder_SlowClientsBeside(t *testing.T) {
	o := order{Size: 300 * kilobyte, Conns: 1, Rate: 100, Slow: 3, Length: 200 * time.Millisecond}
	set, err := peers.Start(t.Context(), "http", 1, answer(o.Size))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	o.Addr = set.Addrs[0]
	all, err := connect(t.Context(), &o)
	defer closeAll(all)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	l, err := o.run(t.Context(), all)
	if err != nil || l.Requests != 23 || l.Length < o.Length/2 || l.P50 == 0 {
		t.Errorf("got %+v, %v, want 20 requests and 3 slow ones", l, err)
	}
	// An answer that ends early is an error of a slow client too.
	o.Size++
	other, err := connect(t.Context(), &order{Addr: o.Addr, Size: o.Size, Slow: 1, Length: o.Length})
	defer closeAll(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := other[0].ask(t.Context()); err == nil {
		t.Error("another size: got no error")
	}
}

// A proxy that stops for 100 ms makes all requests late that are due meanwhile, not only the one that it stops at.
func TestSchedule_OpenLoopCountsFromWhenRequestsAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &schedule{began: time.Now(), length: time.Second, interval: 10 * time.Millisecond}
		first := true
		took, err := s.follow(t.Context(), func(ctx context.Context) error {
			pause := time.Millisecond
			if first {
				first, pause = false, 101*time.Millisecond
			}
			return sleep(ctx, pause)
		})
		if err != nil || len(took) != 100 {
			t.Fatalf("got %d requests, %v, want 100", len(took), err)
		}
		for n := range 11 { // they wait 101, 91+1, 81+2, ... ms
			if want := time.Duration(101-9*n) * time.Millisecond; took[n] != want {
				t.Errorf("request %d: got %v, want %v", n, took[n], want)
			}
		}
		if got, want := describe(took, time.Second).P99, 92*time.Millisecond; got != want {
			t.Errorf("p99: got %v, want %v", got, want)
		}
	})
}

func TestSchedule_ClosedLoopCountsFromTheAnswerBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &schedule{began: time.Now(), length: time.Second}
		took, err := s.follow(t.Context(), func(ctx context.Context) error { return sleep(ctx, 100*time.Millisecond) })
		if err != nil || len(took) != 10 || took[9] != 100*time.Millisecond {
			t.Errorf("got %v, %v, want 10 requests of 100 ms", took, err)
		}
	})
}

func TestPercentile(t *testing.T) {
	f := func(want time.Duration, count, perMille int) {
		t.Helper()
		var sorted []time.Duration
		for n := range count {
			sorted = append(sorted, time.Duration(n+1))
		}
		if got := percentile(sorted, perMille); got != want {
			t.Errorf("%d of 1000 of %d values: got %d, want %d", perMille, count, got, want)
		}
	}
	f(0, 0, 500)
	f(1, 1, 500)
	f(1, 1, 999)
	f(2, 4, 500)
	f(99, 100, 990)
	f(100, 100, 999)
	f(999, 1000, 999)
}

func TestMedian(t *testing.T) {
	f := func(want float64, values ...float64) {
		t.Helper()
		if got := median(values); got != want {
			t.Errorf("%v: got %v, want %v", values, got, want)
		}
	}
	f(0)
	f(3, 3)
	f(2, 3, 1, 2)
	f(2.5, 4, 1, 2, 3)
}

// cost is a round of a thousand requests in a second.
func cost(cpu time.Duration) round {
	return round{load: load{Requests: 1000, Length: time.Second}, cpu: cpu, memory: 20e6}
}

// tail is a round with latencies of so many milliseconds.
func tail(p99, p999 int) round {
	return round{load: load{P99: time.Duration(p99) * time.Millisecond, P999: time.Duration(p999) * time.Millisecond}}
}

// example is one scenario of load and one of idle clients, in which a proxy failed.
func example() []result {
	small, idle := scenario{kind: "small", protocol: "http"}, scenario{kind: "idle", protocol: "http", idle: true}
	return []result{
		// A disturbed round: its ratio is as good as the others.
		{scenario: small, proxy: nginxName, closed: []round{cost(10e6), cost(20e6), cost(10e6)}, open: []round{tail(2, 8)}},
		{scenario: small, proxy: "caddy", failed: errors.New("out of order")},
		{scenario: small, proxy: spillwayName, closed: []round{cost(8e6), cost(16e6), cost(9e6)}, open: []round{tail(3, 4)}},
		{scenario: idle, proxy: spillwayName, idle: []idleRound{{10e6, 50e6, 10000}}},
	}
}

func TestSetRatios_RoundByRound(t *testing.T) {
	results := example()[:3]
	setRatios(results)
	for n, want := range []float64{1, 0, 0.8} {
		if got := results[n].ratio; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", results[n].proxy, got, want)
		}
	}
	if r := &results[2]; r.p99Ratio != 1.5 || r.p999Ratio != 0.5 {
		t.Errorf("got %v of nginx's p99 and %v of its p99.9, want 1.5 and 0.5", r.p99Ratio, r.p999Ratio)
	}
	results[0].failed, results[2].ratio = errors.New("out of order"), 0
	if setRatios(results); results[2].ratio != 0 {
		t.Errorf("without nginx: got %v, want none", results[2].ratio)
	}
}

func TestHalfLoad_NoMoreThanNginx(t *testing.T) {
	fast, slow := cost(1), cost(1)
	fast.load.Requests, slow.load.Requests = 4000, 500
	results := []result{
		{proxy: nginxName, closed: []round{cost(1)}}, {proxy: spillwayName, closed: []round{fast}}, {proxy: "caddy", closed: []round{slow}},
	}
	got := halfLoad(results)
	for n, want := range []float64{500, 500, 250} {
		if got[n] != want {
			t.Errorf("%s: got %v, want %v", results[n].proxy, got[n], want)
		}
	}
}

func TestWriteReport(t *testing.T) {
	results := example()
	setRatios(results[:3])
	var out bytes.Buffer
	if err := writeReport(&out, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| small-http | nginx | 10.0 (10.0–20.0) | 1.00 | 1000 (1000–1000) |",
		"| small-http | spillway | 9.00 (8.00–16.0) | 0.80 |",
		"| 3.00 (3.00–3.00) | 1.50 | 4.00 (4.00–4.00) | 0.50 | 20.0 (20.0–20.0) |",
		"| idle-http | spillway | 10.0 (10.0–10.0) | 50.0 (50.0–50.0) | 4.00 (4.00–4.00) |",
		"- small-http: caddy is left out: out of order",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestWritePlot_IsXMLWithBarsOfTheRatios(t *testing.T) {
	results := example()
	setRatios(results[:3])
	name := filepath.Join(t.TempDir(), "plot.svg")
	if err := writePlot(name, results); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`width="180"`, `width="144"`, "spillway 0.80", "small-http"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if bytes.Contains(text, []byte("caddy")) || bytes.Contains(text, []byte("idle-http")) {
		t.Errorf("results without a ratio in\n%s", text)
	}
}

func TestChoose(t *testing.T) {
	f := func(list, want string) {
		t.Helper()
		var names []string
		found, err := choose(list)
		for i := range found {
			names = append(names, found[i].name())
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", list, got, err, want)
		}
	}
	f("small-http", "small-http")
	f("idle-fastcgi,small-fastcgi", "small-fastcgi idle-fastcgi")
	if _, err := choose("small"); err == nil || !strings.Contains(err.Error(), "small-http") {
		t.Errorf("got %v, want the names that there are", err)
	}
}
