package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/upstream/resolve"
	"spillway/upstream/resolve/dnstest"
)

// patience bounds what a failing test waits for; hurry is a timeout that is meant to run out.
const (
	patience = 20 * time.Second
	hurry    = 200 * time.Millisecond
)

// asking returns a Resolver that asks the server.
func asking(s *dnstest.Server, change ...func(*resolve.Options)) *resolve.Resolver {
	opts := resolve.Options{Servers: []string{s.Addr()}, Timeout: patience}
	for _, c := range change {
		c(&opts)
	}
	return resolve.New(opts)
}

// texts are targets as a test can write them: address, or address:port*weight with a + for backup.
func texts(targets []resolve.Target) []string {
	var all []string
	for _, t := range targets {
		text := t.Addr.String()
		if t.Port != 0 {
			text = fmt.Sprintf("%v:%d*%d", t.Addr, t.Port, t.Weight)
		}
		if t.Backup {
			text += "+"
		}
		all = append(all, text)
	}
	return all
}

func TestResolver_Lookup(t *testing.T) {
	s := dnstest.New(t)
	f := func(name string, records dnstest.Records, ttl time.Duration, want ...string) {
		t.Helper()
		s.Set("app.test", records)
		got, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test"}, nil)
		if err != nil || !slices.Equal(texts(got.Targets), want) || got.TTL != ttl {
			t.Errorf("%s: got %v for %v, error %v, want %v for %v", name, texts(got.Targets), got.TTL, err, want, ttl)
		}
	}
	three := []string{"10.0.0.3", "10.0.0.1", "::1"}
	f("addresses", dnstest.Records{TTL: 17, Addresses: three}, 17*time.Second, "10.0.0.1", "10.0.0.3", "::1")
	f("the same twice", dnstest.Records{TTL: 17, Addresses: []string{"10.0.0.1", "10.0.0.1"}}, 17*time.Second, "10.0.0.1")
	f("no addresses", dnstest.Records{TTL: 17}, 10*time.Second)
	f("a TTL of 0", dnstest.Records{Addresses: three}, time.Second, "10.0.0.1", "10.0.0.3", "::1")
	f("a TTL of a day", dnstest.Records{TTL: 86400, Addresses: three[:1]}, 5*time.Minute, "10.0.0.3")
	f("an alias", dnstest.Records{TTL: 20, Alias: "real.test", Addresses: three[:1]}, 10*time.Second, "10.0.0.3")
	f("truncated", dnstest.Records{TTL: 17, Addresses: three, Fault: dnstest.Truncated}, 17*time.Second, "10.0.0.1", "10.0.0.3", "::1")
	f("forged", dnstest.Records{TTL: 17, Addresses: three, Fault: dnstest.Forged}, 17*time.Second, "10.0.0.1", "10.0.0.3", "::1")
	f("garbage", dnstest.Records{TTL: 17, Addresses: three, Fault: dnstest.Garbage}, 17*time.Second, "10.0.0.1", "10.0.0.3", "::1")
	f("no AAAA", dnstest.Records{TTL: 17, Addresses: three, Fault: dnstest.FailAAAA}, 17*time.Second, "10.0.0.1", "10.0.0.3")
	s.Remove("app.test")
	got, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test"}, nil)
	if err != nil || len(got.Targets) != 0 {
		t.Errorf("an unknown name: got %v, error %v, want an answer without addresses", texts(got.Targets), err)
	}
}

func TestResolver_Options(t *testing.T) {
	s := dnstest.New(t)
	s.Set("app.test", dnstest.Records{TTL: 17, Addresses: []string{"10.0.0.1", "::1"}})
	r := asking(s, func(o *resolve.Options) { o.NoIPv6, o.Valid = true, time.Hour })
	got, err := r.Lookup(t.Context(), resolve.Question{Name: "app.test"}, nil)
	if err != nil || !slices.Equal(texts(got.Targets), []string{"10.0.0.1"}) || got.TTL != time.Hour {
		t.Errorf("got %v for %v, error %v, want no IPv6, for an hour", texts(got.Targets), got.TTL, err)
	}
	if n := s.Asked("app.test", "AAAA"); n != 0 {
		t.Errorf("asked %d times for AAAA, want 0", n)
	}
}

func TestResolver_Services(t *testing.T) {
	s := dnstest.New(t)
	s.Set("one.test", dnstest.Records{TTL: 30, Addresses: []string{"10.0.0.1"}})
	s.Set("two.test", dnstest.Records{TTL: 15, Addresses: []string{"10.0.0.2", "10.0.0.3"}})
	s.Set("_http._tcp.app.test", dnstest.Records{TTL: 60, Services: []dnstest.Service{
		{Target: "two.test", Port: 8002, Priority: 20, Weight: 5},
		{Target: "one.test", Port: 8001, Priority: 10, Weight: 0},
		{Target: "two.test", Port: 8003, Priority: 10, Weight: 7},
	}})
	s.Set("_x._udp.app.test", dnstest.Records{TTL: 60, Services: []dnstest.Service{{Target: "one.test", Port: 1, Weight: 1}}})
	s.Set("_off._tcp.app.test", dnstest.Records{TTL: 60, Services: []dnstest.Service{{Target: ".", Port: 1}}})
	f := func(service string, ttl time.Duration, want ...string) {
		t.Helper()
		got, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test", Service: service}, nil)
		if err != nil || !slices.Equal(texts(got.Targets), want) || got.TTL != ttl {
			t.Errorf("%s: got %v for %v, error %v, want %v for %v", service, texts(got.Targets), got.TTL, err, want, ttl)
		}
	}
	f("http", 15*time.Second, "10.0.0.1:8001*1", "10.0.0.2:8003*7", "10.0.0.3:8003*7", "10.0.0.2:8002*5+", "10.0.0.3:8002*5+")
	f("_x._udp", 30*time.Second, "10.0.0.1:1*1")
	f("off", time.Minute)
	f("none", 10*time.Second)

	// One target whose addresses are not found does not take the others along; what it had is kept.
	before, _ := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test", Service: "http"}, nil)
	s.Set("two.test", dnstest.Records{Fault: dnstest.ServFail})
	got, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test", Service: "http"}, before.Targets)
	if err != nil || !slices.Equal(got.Targets, before.Targets) {
		t.Errorf("got %v, error %v, want %v kept", texts(got.Targets), err, texts(before.Targets))
	}
	s.Set("one.test", dnstest.Records{Fault: dnstest.ServFail})
	if _, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test", Service: "http"}, before.Targets); err == nil {
		t.Error("no target answers: got no error")
	}
}

// TestResolver_PartOfAnAnswer: addresses of one family are kept while that family is not answered.
func TestResolver_PartOfAnAnswer(t *testing.T) {
	s := dnstest.New(t)
	q := resolve.Question{Name: "app.test"}
	s.Set(q.Name, dnstest.Records{TTL: 60, Addresses: []string{"10.0.0.1", "::1"}})
	before, err := asking(s).Lookup(t.Context(), q, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []dnstest.Fault{dnstest.FailAAAA, dnstest.SilentAAAA} {
		s.Set(q.Name, dnstest.Records{TTL: 60, Addresses: []string{"10.0.0.2"}, Fault: fault})
		got, err := asking(s, func(o *resolve.Options) { o.Timeout = 10 * hurry }).Lookup(t.Context(), q, before.Targets)
		if err != nil || !slices.Equal(texts(got.Targets), []string{"10.0.0.2", "::1"}) {
			t.Errorf("fault %d: got %v, error %v, want the new address and the kept one", fault, texts(got.Targets), err)
		}
	}
}

func TestResolver_Failures(t *testing.T) {
	s := dnstest.New(t)
	q := resolve.Question{Name: "app.test"}
	for _, fault := range []dnstest.Fault{dnstest.Silent, dnstest.ServFail} {
		s.Set(q.Name, dnstest.Records{Fault: fault})
		got, err := asking(s, func(o *resolve.Options) { o.Timeout = hurry }).Lookup(t.Context(), q, nil)
		if failure, ok := errors.AsType[*net.DNSError](err); !ok || failure.Server != s.Addr() {
			t.Errorf("fault %d: got %v, error %v, want one of the server %s", fault, texts(got.Targets), err, s.Addr())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Set(q.Name, dnstest.Records{Fault: dnstest.Silent})
	if _, err := asking(s).Lookup(ctx, q, nil); err == nil {
		t.Error("a context that has ended: got no error")
	}
}

// TestResolver_AsksTheNextServer: one that does not answer is not asked first again.
func TestResolver_AsksTheNextServer(t *testing.T) {
	silent, good := dnstest.New(t), dnstest.New(t)
	q := resolve.Question{Name: "app.test"}
	silent.Set(q.Name, dnstest.Records{Fault: dnstest.Silent})
	good.Set(q.Name, dnstest.Records{TTL: 60, Addresses: []string{"10.0.0.1"}})
	r := resolve.New(resolve.Options{Servers: []string{silent.Addr(), good.Addr()}, Timeout: 20 * hurry, NoIPv6: true})
	for range 3 {
		got, err := r.Lookup(t.Context(), q, nil)
		if err != nil || len(got.Targets) != 1 {
			t.Errorf("got %v, error %v, want the address", texts(got.Targets), err)
		}
	}
	if n := silent.Asked(q.Name, "A"); n != 1 {
		t.Errorf("the silent server was asked %d times, want once", n)
	}
}

func TestResolver_RefusesTooManyAddresses(t *testing.T) {
	s := dnstest.New(t)
	records := dnstest.Records{TTL: 60, Fault: dnstest.Truncated}
	for i := range 300 {
		records.Addresses = append(records.Addresses, fmt.Sprintf("10.0.%d.%d", i/200, i%200))
	}
	s.Set("app.test", records)
	_, err := asking(s).Lookup(t.Context(), resolve.Question{Name: "app.test"}, nil)
	if err == nil || !strings.Contains(err.Error(), "300 addresses, more than 256") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestResolver_SystemKnowsLocalhost without any name server.
func TestResolver_SystemKnowsLocalhost(t *testing.T) {
	got, err := resolve.New(resolve.Options{NoIPv6: true}).Lookup(t.Context(), resolve.Question{Name: "localhost"}, nil)
	if err != nil || !slices.Equal(texts(got.Targets), []string{"127.0.0.1"}) || got.TTL != 10*time.Second {
		t.Errorf("got %v for %v, error %v, want 127.0.0.1 for 10 s", texts(got.Targets), got.TTL, err)
	}
}
