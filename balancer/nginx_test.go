package balancer_test

import (
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

// TestRoundRobin_SequenceOfNginx runs Debian's nginx and a RoundRobin with the same peers, and compares which peers each
// request goes to, failed attempts included.
func TestRoundRobin_SequenceOfNginx(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("SPILLWAY_REQUIRE_BACKENDS") != "" {
			t.Fatal("nginx is not installed")
		}
		t.Skip("nginx is not installed")
	}
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
		t.Run(name, func(t *testing.T) {
			addresses := listen(t, rivals)
			const requests = 40
			want := askNginx(t, program, rivals, addresses, requests)
			got := askPicker(t, rivals, addresses, requests)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("request %d: got %s, nginx %s\nall of nginx: %q", i, got[i], want[i], want)
				}
			}
		})
	}
}

// listen starts the peers and returns their addresses.
func listen(t *testing.T, rivals []rival) []string {
	t.Helper()
	var addresses []string
	for _, r := range rivals {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		addresses = append(addresses, s.Listener.Addr().String())
		if r.refuses {
			s.Close()
		} else {
			t.Cleanup(s.Close)
		}
	}
	return addresses
}

// askNginx sends requests through nginx and returns the peers of each, as $upstream_addr has them.
func askNginx(t *testing.T, program string, rivals []rival, addresses []string, requests int) []string {
	t.Helper()
	dir := t.TempDir()
	var servers strings.Builder
	for i, r := range rivals {
		fmt.Fprintf(&servers, "server %s weight=%d max_fails=%d", addresses[i], max(r.weight, 1), r.maxFails())
		if r.backup {
			servers.WriteString(" backup")
		}
		if r.down {
			servers.WriteString(" down")
		}
		servers.WriteString(";\n")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := free.Addr().String()
	free.Close()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http { access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
upstream app { %[2]s }
server { listen %[3]s; location / { proxy_pass http://app; add_header X-Peers $upstream_addr always; } } }
`, dir, servers.String(), front)
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
	awaitPort(t, front)
	var all []string
	for range requests {
		resp, err := http.Get("http://" + front + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		all = append(all, resp.Header.Get("X-Peers"))
	}
	return all
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

// askPicker lets a RoundRobin choose for as many requests, with the attempts that nginx would make.
func askPicker(t *testing.T, rivals []rival, addresses []string, requests int) []string {
	t.Helper()
	opts := upstream.GroupOptions{Name: "app", Protocol: speaker{}}
	for i, r := range rivals {
		opts.Peers = append(opts.Peers, upstream.PeerOptions{
			Address: addresses[i], Weight: r.weight, Backup: r.backup, Down: r.down,
			MaxFails: r.maxFails(), FailTimeout: 10 * time.Second,
		})
	}
	g, err := upstream.NewGroup(opts)
	if err != nil {
		t.Fatal(err)
	}
	picker, now := balancer.NewRoundRobin(), time.Now()
	var all []string
	for range requests {
		var tried []string
		hint := balancer.Hint{Now: now}
		for p := picker.Pick(g.Peers(), &hint); p != nil; p = picker.Pick(g.Peers(), &hint) {
			hint.Tried.Add(p.Index())
			tried = append(tried, p.Address())
			if !rivals[p.Index()].refuses {
				p.Report(p.Runs(), upstream.Succeeded, now)
				break
			}
			p.Report(p.Runs(), upstream.Broken, now)
		}
		all = append(all, strings.Join(tried, ", "))
	}
	return all
}
