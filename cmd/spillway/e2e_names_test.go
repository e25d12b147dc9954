//go:build linux && !race

package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"spillway/upstream/porttest"
	"spillway/upstream/resolve/dnstest"
)

// Peers are host names: the upstream is as large as DNS says.

// hosts listen at one port of several loopback addresses, and count what they are asked.
type hosts struct {
	port  string
	asked [3]atomic.Int64
}

// newHosts starts three hosts, 127.0.0.1 to 127.0.0.3.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{}
	for {
		_, h.port, _ = net.SplitHostPort(porttest.Address(t))
		var listeners []net.Listener
		for i := range h.asked {
			l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.%d:%s", i+1, h.port))
			if err != nil {
				break
			}
			listeners = append(listeners, l)
		}
		if len(listeners) < len(h.asked) {
			for _, l := range listeners {
				l.Close()
			}
			continue
		}
		for i, l := range listeners {
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				h.asked[i].Add(1)
				_, _ = w.Write([]byte(faultyHello))
			})}
			go func() { _ = server.Serve(l) }() // ends with the test
			t.Cleanup(func() { server.Close() })
		}
		return h
	}
}

// awaitMore waits until each of these hosts is asked once more than before.
func (h *hosts) awaitMore(t *testing.T, numbers ...int) {
	t.Helper()
	var before []int64
	for _, n := range numbers {
		before = append(before, h.asked[n-1].Load())
	}
	eventually(t, fmt.Sprintf("the hosts %v are asked", numbers), func() bool {
		for i, n := range numbers {
			if h.asked[n-1].Load() == before[i] {
				return false
			}
		}
		return true
	})
}

// namesSite starts a program whose only upstream has these peers, resolved by the server.
func namesSite(t *testing.T, dns *dnstest.Server, upstream string) (s *site, admin string) {
	t.Helper()
	addr, admin := porttest.Address(t), porttest.Address(t)
	s = startProgram(t, t.TempDir(), addr, namesConfig(dns, addr, admin, upstream))
	s.kind = kind{name: "faulty", hello: faultyHello}
	eventually(t, "it serves", func() bool { return !refuses(addr) })
	return s, admin
}

func namesConfig(dns *dnstest.Server, addr, admin, upstream string) string {
	return fmt.Sprintf(`
listen: [%q]
error_log: {path: logs/error.log, level: info}
admin: {listen: %q}
resolver: {addresses: [%q]}
upstreams:
  app: {%s}
`, addr, admin, dns.Addr(), upstream)
}

// addresses are the peers as /status shows them, with their states unless they are up.
func addresses(t *testing.T, admin string) (all []string) {
	t.Helper()
	for _, p := range peers(t, admin) {
		address := p.Address
		if p.State != "up" {
			address += " " + p.State
		}
		all = append(all, address)
	}
	slices.Sort(all)
	return all
}

// metricsOf returns the text of /metrics.
func metricsOf(t *testing.T, admin string) string {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// at returns the addresses of hosts.
func (h *hosts) at(numbers ...int) (all []string) {
	for _, n := range numbers {
		all = append(all, fmt.Sprintf("127.0.0.%d:%s", n, h.port))
	}
	return all
}

// An upstream grows from one to three peers and shrinks to another one, while it is asked all the time and DNS goes wrong now and
// then. No request fails.
func TestNames_AnUpstreamGrowsAndShrinksWithDNS(t *testing.T) {
	dns, h := dnstest.New(t), newHosts(t)
	set := func(fault dnstest.Fault, addresses ...string) {
		dns.Set("app.test", dnstest.Records{TTL: 1, Addresses: addresses, Fault: fault})
	}
	set(dnstest.None, "127.0.0.1")
	s, admin := namesSite(t, dns, fmt.Sprintf(`keepalive: 8, peers: ["app.test:%s"]`, h.port))
	l := s.startLoad(8)
	h.awaitMore(t, 1)

	set(dnstest.Truncated, "127.0.0.3", "127.0.0.1", "127.0.0.2")
	h.awaitMore(t, 1, 2, 3)
	if got := addresses(t, admin); !slices.Equal(got, h.at(1, 2, 3)) {
		t.Errorf("got peers %q, want %q", got, h.at(1, 2, 3))
	}
	metrics := metricsOf(t, admin)
	for _, series := range []string{
		`spillway_upstream_peers{upstream="app"} 3`,
		fmt.Sprintf(`spillway_attempts_total{code="200",peer="127.0.0.3:%s",upstream="app"} `, h.port),
		fmt.Sprintf(`spillway_name_lookups_total{name="app.test:%s",outcome="answered",upstream="app"} `, h.port),
		fmt.Sprintf(`spillway_name_answer_age_seconds{name="app.test:%s",upstream="app"} `, h.port),
	} {
		if !strings.Contains(metrics, series) {
			t.Errorf("got no %s in the metrics", series)
		}
	}

	set(dnstest.ServFail)
	s.logged(t, "warn", fmt.Sprintf(`app\.test:%s could not be resolved: server misbehaving \(127\.0\.0\.1:\d+\); `+
		`upstream app keeps the addresses of the last answer, which is \d+s old`, h.port))
	h.awaitMore(t, 1, 2, 3)

	set(dnstest.Forged, "127.0.0.2")
	eventually(t, "one peer is left", func() bool { return slices.Equal(addresses(t, admin), h.at(2)) })
	h.awaitMore(t, 2)
	before := h.asked[0].Load() + h.asked[2].Load()
	h.awaitMore(t, 2)
	if after := h.asked[0].Load() + h.asked[2].Load(); after != before {
		t.Errorf("peers that have left got %d requests", after-before)
	}
	l.end(t)
	eventually(t, "the counters of those who left are gone", func() bool {
		return !strings.Contains(metricsOf(t, admin), `peer="127.0.0.1:`) && strings.Contains(metricsOf(t, admin), `peer="127.0.0.2:`)
	})
	for _, change := range []string{"added", "removed"} {
		s.logged(t, "info", fmt.Sprintf(`peer %s, upstream: app, name: app\.test:%s, peer: 127\.0\.0\.[13]:%s`, change, h.port, h.port))
	}
	s.logged(t, "warn", fmt.Sprintf(`name resolved again, upstream: app, name: app\.test:%s, addresses: 1, took: \S+`, h.port))
	if strings.Contains(s.errorLog(), "[error]") {
		t.Error("got an error in the log")
	}
	s.command(t, "status").want(t, 0, `(?s).*\napp\.test:`+h.port+`: addresses: 1, answered \d+s ago\n.*`, "")
}

// DNS does not know the name at the start: the other peers serve, and as soon as it is known so do its addresses.
func TestNames_AnUnknownNameKeepsNobodyFromStarting(t *testing.T) {
	dns, h := dnstest.New(t), newHosts(t)
	s, admin := namesSite(t, dns, fmt.Sprintf(`peers: ["app.test:%s", "127.0.0.1:%s"]`, h.port, h.port))
	s.wantHello(t)
	line := fmt.Sprintf(`host not found in upstream "app\.test:%s": DNS knows no address of it`, h.port)
	s.logged(t, "error", line+"; upstream app has no peer of it until it is resolved: look at the name, and at `resolver`")
	s.command(t, "check").want(t, 0, `\S+spillway\.yaml: the configuration is right .*\n`,
		`warning: \S+spillway\.yaml:7: upstreams\.app\.peers\[0\]: `+line+`; spillway starts without it, and asks again and again\n`)
	dns.Set("app.test", dnstest.Records{TTL: 60, Addresses: []string{"127.0.0.2"}})
	eventually(t, "the name is resolved", func() bool { return slices.Equal(addresses(t, admin), h.at(1, 2)) })
}

// No name of an upstream is known: requests wait as long as hold_timeout says, or are answered at once.
func TestNames_AnUpstreamWithoutPeers(t *testing.T) {
	dns, h := dnstest.New(t), newHosts(t)
	s, admin := namesSite(t, dns, fmt.Sprintf(`hold_timeout: 1h, peers: ["app.test:%s"]`, h.port))
	waiting := s.getAsync("hello")
	eventually(t, "a request waits", func() bool {
		return regexp.MustCompile(`"waiting": ?1\b`).MatchString(s.command(t, "status", "--json").stdout)
	})
	dns.Set("app.test", dnstest.Records{TTL: 1, Addresses: []string{"127.0.0.1"}})
	if a := <-waiting; a.status != http.StatusOK {
		t.Errorf("got %d %q, want that the request has waited", a.status, a.body)
	}

	// A reload with DNS out of order keeps the addresses of the names that it knew, and the new name has none.
	dns.Set("app.test", dnstest.Records{Fault: dnstest.ServFail})
	dns.Set("other.test", dnstest.Records{Fault: dnstest.ServFail})
	put(t, s.dir, "spillway.yaml", namesConfig(dns, s.addr, admin, fmt.Sprintf(`max_fails: 3, peers: ["app.test:%s", "other.test:1"]`, h.port)))
	s.command(t, "reload").want(t, 0, "pid .* as it is now\n", "")
	s.wantHello(t)
	put(t, s.dir, "spillway.yaml", namesConfig(dns, s.addr, admin, `peers: ["other.test:1"]`))
	s.command(t, "reload").want(t, 0, "pid .* as it is now\n", "")
	failed := s.ask("hello")
	if failed.err != nil || failed.status != http.StatusBadGateway {
		t.Errorf("got %d, %v, want 502", failed.status, failed.err)
	}
	s.explained(t, failed.id, `.*\nNo peer of app could be asked: no host name was resolved \(other\.test:1: server misbehaving .*\)\.\n.*`)
	s.logged(t, "error", `no live upstreams while connecting to upstream, .*upstream: "http://app/hello".*`)
}

// SRV records say ports, weights, and who is backup.
func TestNames_Services(t *testing.T) {
	dns, h := dnstest.New(t), newHosts(t)
	var port uint16
	_, _ = fmt.Sscan(h.port, &port)
	for i, name := range []string{"one.test", "two.test", "three.test"} {
		dns.Set(name, dnstest.Records{TTL: 1, Addresses: []string{fmt.Sprintf("127.0.0.%d", i+1)}})
	}
	dns.Set("_http._tcp.app.test", dnstest.Records{TTL: 1, Services: []dnstest.Service{
		{Target: "one.test", Port: port, Priority: 1, Weight: 30},
		{Target: "two.test", Port: port, Priority: 1, Weight: 10},
		{Target: "three.test", Port: port, Priority: 9, Weight: 10},
	}})
	s, _ := namesSite(t, dns, `peers: [{address: app.test, service: http}]`)
	for range 40 {
		s.wantHello(t)
	}
	if one, two, three := h.asked[0].Load(), h.asked[1].Load(), h.asked[2].Load(); one != 30 || two != 10 || three != 0 {
		t.Errorf("got %d, %d and %d requests, want 30, 10 and none for the backup", one, two, three)
	}
	dns.Set("_http._tcp.app.test", dnstest.Records{TTL: 1, Services: []dnstest.Service{{Target: "three.test", Port: port}}})
	h.awaitLoad(t, s, 3)
}

// awaitLoad asks until the host answers.
func (h *hosts) awaitLoad(t *testing.T, s *site, number int) {
	t.Helper()
	l := s.startLoad(1)
	h.awaitMore(t, number)
	l.end(t)
}
