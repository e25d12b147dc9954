package balancer_test

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// rival is a peer in a comparison with nginx.
type rival struct {
	weight  int
	backup  bool
	down    bool
	refuses bool // nobody listens at its address
	fails   int  // max_fails; 0 is nginx's default, 1
}

// maxFails is what both are told; a negative number in the table switches the accounting off.
func (r rival) maxFails() int {
	switch {
	case r.fails < 0:
		return 0
	case r.fails == 0:
		return 1
	default:
		return r.fails
	}
}

// request is what a comparison varies between requests. The zero value is one from 127.0.0.1 without a key.
type request struct {
	client string // what nginx is told of the client by X-Real-IP
	key    string // the value of $arg_k
}

// comparison is a group with its method and requests.
type comparison struct {
	method   string // of nginx: a directive, or nothing for round robin
	picker   func() balancer.Picker
	rivals   []rival
	requests []request
}

// TestPickers_SequencesOfNginx runs Debian's nginx and a picker with the same peers, and compares which peers each request
// goes to, failed attempts included.
func TestPickers_SequencesOfNginx(t *testing.T) {
	program := nginx(t)
	for name, c := range comparisons() {
		t.Run(name, func(t *testing.T) {
			addresses := listen(t, c.rivals)
			want := askNginx(t, program, c, addresses)
			got := askPicker(t, c, addresses)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("request %d %+v: got %s, nginx %s\nall of nginx: %q", i, c.requests[i], got[i], want[i], want)
				}
			}
		})
	}
}

func comparisons() map[string]comparison {
	all := map[string]comparison{}
	for name, rivals := range map[string][]rival{
		"eight equal peers":      {{}, {}, {}, {}, {}, {}, {}, {}},
		"weights 5 1 1":          {{weight: 5}, {weight: 1}, {weight: 1}},
		"weights 4 3 2 1":        {{weight: 4}, {weight: 3}, {weight: 2}, {weight: 1}},
		"a peer is down":         {{}, {down: true}, {}, {weight: 3}},
		"a peer refuses":         {{weight: 2}, {refuses: true, weight: 2}, {}, {}},
		"backup when all refuse": {{refuses: true}, {refuses: true}, {backup: true}, {backup: true, weight: 2}},
		"a heavy peer refuses":   {{refuses: true, weight: 9, fails: 3}, {weight: 2}, {weight: 3}},
		"refusals do not count":  {{refuses: true, weight: 3, fails: -1}, {weight: 2}, {}},
		"two refuse of four":     {{refuses: true, weight: 3}, {}, {refuses: true}, {weight: 2}},
	} {
		roundRobin := func() balancer.Picker { return balancer.NewRoundRobin() }
		leastConn := func() balancer.Picker { return balancer.NewLeastConn() }
		all["round_robin/"+name] = comparison{"", roundRobin, rivals, make([]request, 40)}
		all["least_conn/"+name] = comparison{"least_conn;", leastConn, rivals, make([]request, 40)}
		if rivals[len(rivals)-1].backup {
			continue // nginx refuses backup peers with the methods below
		}
		hash := func() balancer.Picker { return balancer.NewHash() }
		ketama := func() balancer.Picker { return balancer.NewKetama() }
		ipHash := func() balancer.Picker { return balancer.NewIPHash() }
		all["hash/"+name] = comparison{"hash $arg_k;", hash, rivals, keys()}
		all["ketama/"+name] = comparison{"hash $arg_k consistent;", ketama, rivals, keys()}
		all["ip_hash/"+name] = comparison{"ip_hash;", ipHash, rivals, clients()}
	}
	return all
}

// keys are requests with different keys, each of them twice, and some without one.
func keys() (all []request) {
	for i := range 60 {
		all = append(all, request{key: fmt.Sprintf("key-%d", i%30)})
	}
	return append(all, request{}, request{key: "x"}, request{}, request{})
}

// clients are requests of different clients.
func clients() (all []request) {
	for i := range 40 {
		all = append(all,
			request{client: fmt.Sprintf("10.%d.%d.%d", i*7%256, i*13%256, i)},
			request{client: fmt.Sprintf("2001:db8:%x::%x", i*31, i)})
	}
	return append(all, request{client: "10.7.13.200"}, request{client: "10.7.13.201"}, request{client: "::1"})
}

// nginx returns the program, or skips the test where there is none.
func nginx(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("SPILLWAY_REQUIRE_BACKENDS") != "" {
			t.Fatal("nginx is not installed")
		}
		t.Skip("nginx is not installed")
	}
	return program
}

// listen starts the peers and returns their addresses.
func listen(t *testing.T, rivals []rival) []string {
	t.Helper()
	var addresses []string
	for _, r := range rivals {
		if r.refuses {
			addresses = append(addresses, reserve(t))
			continue
		}
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(s.Close)
		addresses = append(addresses, s.Listener.Addr().String())
	}
	return addresses
}

// reserve returns an address of this machine at which nobody listens, and nobody else will: the same port of 127.0.0.1, from
// where connections go out, is taken until the test ends.
func reserve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.2", port)
}

// askNginx sends the requests through nginx and returns the peers of each, as $upstream_addr has them.
func askNginx(t *testing.T, program string, c comparison, addresses []string) []string {
	t.Helper()
	address := startNginx(t, program, c, addresses)
	var all []string
	for _, r := range c.requests {
		resp := ask(t, address, r)
		resp.Body.Close()
		all = append(all, resp.Header.Get("X-Peers"))
	}
	return all
}

// ask sends one request to nginx and returns its response, with the body still to be read.
func ask(t *testing.T, address string, r request) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/?k="+r.key, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if r.client != "" {
		req.Header.Set("X-Real-IP", r.client)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// startNginx returns the address at which nginx serves.
func startNginx(t *testing.T, program string, c comparison, addresses []string) string {
	t.Helper()
	dir := t.TempDir()
	servers := c.method + "\n"
	for i, r := range c.rivals {
		servers += fmt.Sprintf("server %s weight=%d max_fails=%d", addresses[i], max(r.weight, 1), r.maxFails())
		if r.backup {
			servers += " backup"
		}
		if r.down {
			servers += " down"
		}
		servers += ";\n"
	}
	address := reserve(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http { access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
upstream app { %[2]s }
server { listen %[3]s; location / { proxy_pass http://app; add_header X-Peers $upstream_addr always; } } }
`, dir, servers, address)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitPort(t, address)
	return address
}

// awaitPort waits until somebody listens, without asking for a response.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// askPicker lets a picker choose for the requests, with the attempts that nginx would make.
func askPicker(t *testing.T, c comparison, addresses []string) []string {
	t.Helper()
	g := groupOf(t, c, addresses)
	picker, now, hint := c.picker(), time.Now(), balancer.Hint{}
	var all []string
	for _, r := range c.requests {
		var tried []string
		hint.Reset()
		hint.Now, hint.Key, hint.Client = now, []byte(r.key), cmp.Or(r.client, "127.0.0.1")
		for p := picker.Pick(g.Peers(), &hint); p != nil; p = picker.Pick(g.Peers(), &hint) {
			hint.Tried.Add(p.Index())
			tried = append(tried, p.Address())
			refused := c.rivals[p.Index()].refuses
			outcome := upstream.Succeeded
			if refused {
				outcome = upstream.Broken
			}
			p.Report(p.Runs(), outcome, now)
			p.Free()
			if !refused {
				break
			}
		}
		all = append(all, strings.Join(tried, ", "))
	}
	return all
}

// groupOf makes the group of a comparison.
func groupOf(t *testing.T, c comparison, addresses []string) *upstream.Group {
	t.Helper()
	opts := upstream.GroupOptions{Name: "app", Protocol: speaker{}}
	for i, r := range c.rivals {
		opts.Peers = append(opts.Peers, upstream.PeerOptions{
			Address: addresses[i], Weight: r.weight, Backup: r.backup, Down: r.down,
			MaxFails: r.maxFails(), FailTimeout: 10 * time.Second,
		})
	}
	g, err := upstream.NewGroup(opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
