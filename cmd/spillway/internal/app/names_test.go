package app_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"spillway/upstream/porttest"
	"spillway/upstream/resolve/dnstest"
)

// hosts starts a server at one port of each of the addresses, that answers with its own, and returns the port.
func hosts(t *testing.T, addresses ...string) string {
	t.Helper()
	port := porttest.Free(t, 1)[0]
	for _, address := range addresses {
		l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", address, port))
		if err != nil {
			t.Skipf("there is no %s here: %v", address, err) // only Linux and Windows have all of 127.0.0.0/8
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, address)
		}))
		_ = server.Listener.Close()
		server.Listener = l
		server.Start()
		t.Cleanup(server.Close)
	}
	return fmt.Sprint(port)
}

// addresses returns those of the first upstream's peers.
func (r *running) addresses() (all []string) {
	peers := r.Status().Upstreams[0].Peers
	for i := range peers {
		all = append(all, peers[i].Address)
	}
	slices.Sort(all)
	return all
}

// TestReload_NamesUnderLoad: names are resolved anew, taken over or left as they are, and nobody notices.
func TestReload_NamesUnderLoad(t *testing.T) {
	dns, another := dnstest.New(t), dnstest.New(t)
	port := hosts(t, "127.0.0.1", "127.0.0.2")
	dns.Set("app.test", dnstest.Records{TTL: 1, Addresses: []string{"127.0.0.1"}})
	another.Set("app.test", dnstest.Records{TTL: 60, Addresses: []string{"127.0.0.2"}})
	front, admin := porttest.Address(t), porttest.Address(t)
	config := func(server *dnstest.Server, upstream string) string {
		return fmt.Sprintf(`
listen: %s
admin: {listen: %q}
resolver: %s
upstreams: {app: {peers: ["app.test:%s"], health: {probe: tcp, interval: 1s, timeout: 1s, mandatory: on}%s}}
`, front, admin, server.Addr(), port, upstream)
	}
	metrics := func() string {
		_, text := ask(t, "http://"+admin+"/metrics", nil)
		return text
	}
	series := func(address string) string {
		return fmt.Sprintf(`spillway_peer_healthy{peer="%s:%s",upstream="app"} 1`, address, port)
	}
	r := start(t, config(dns, ""))
	l := startLoad(t, "http://"+front, 4)
	r.wantAddresses(t, "127.0.0.1:"+port)

	dns.Set("app.test", dnstest.Records{TTL: 1, Addresses: []string{"127.0.0.1", "127.0.0.2"}})
	r.wantAddresses(t, "127.0.0.1:"+port, "127.0.0.2:"+port)
	eventually(t, "the newcomer has its series", func() bool { return strings.Contains(metrics(), series("127.0.0.2")) })

	l.awaitMore(t, 20)
	r.reload(t, config(dns, "")) // nothing is new
	dns.Set("app.test", dnstest.Records{Fault: dnstest.ServFail})
	r.reload(t, config(dns, ", max_fails: 2")) // another group, to which DNS says nothing
	r.wantAddresses(t, "127.0.0.1:"+port, "127.0.0.2:"+port)
	l.awaitMore(t, 20)
	r.reload(t, config(another, ", max_fails: 2")) // another server
	r.wantAddresses(t, "127.0.0.2:"+port)
	l.awaitMore(t, 20)
	l.end(t)
	eventually(t, "the series of who left are gone", func() bool {
		text := metrics()
		return !strings.Contains(text, `peer="127.0.0.1:`) && strings.Contains(text, series("127.0.0.2"))
	})
	name := r.Status().Upstreams[0].Names[0]
	if name.Name != "app.test:"+port || name.Addresses != 1 || name.Answered == nil || name.Next == nil || name.Error != "" {
		t.Errorf("got %+v, want one address of app.test", name)
	}
	if got := r.Status().Upstreams[0].Peers[0].Name; got != "app.test" {
		t.Errorf("got the name %q of a peer, want app.test", got)
	}
}

// wantAddresses waits until these are the addresses of the first upstream's peers.
func (r *running) wantAddresses(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the peers are %v", want), func() bool { return slices.Equal(r.addresses(), want) })
}

// TestNames_ARefusalIsNoReasonToWait: requests are held until a name has an address. That somebody there refuses is an answer, as
// it is from peers without a name: no supervisor is about to say anything.
func TestNames_ARefusalIsNoReasonToWait(t *testing.T) {
	dns := dnstest.New(t)
	dns.Set("app.test", dnstest.Records{TTL: 60, Addresses: []string{"127.0.0.1"}})
	front := porttest.Address(t)
	r := start(t, fmt.Sprintf(`
listen: %s
resolver: %s
upstreams: {app: {peers: ["app.test:%d"], hold_timeout: 30s}}
`, front, dns.Addr(), porttest.Free(t, 1)[0]))
	if resp, _ := ask(t, "http://"+front, nil); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got status %d, want 502", resp.StatusCode)
	}
	if got := r.Status().Upstreams[0].Queue.Total; got != 0 {
		t.Errorf("got %d requests that waited, want none", got)
	}
}
