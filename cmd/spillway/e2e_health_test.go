//go:build linux && !race

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spillway/upstream/porttest"
)

// startAsked starts the program with a backend whose processes it asks by itself; upstream are keys of the upstream.
func startAsked(t *testing.T, k kind, upstream string) *site {
	t.Helper()
	k.require(t)
	dir, addr := k.folder(t), porttest.Address(t)
	s := startProgram(t, dir, addr, fmt.Sprintf("listen: [%q]\nupstreams:\n  app:\n%s", addr, upstream))
	s.kind = k
	eventually(t, "the program serves", func() bool {
		a, err := s.get("hello")
		return err == nil && a.status == http.StatusOK || s.hasEnded()
	})
	return s
}

// probed returns what the probes of the only process say.
func (s *site) probed(t *testing.T) (state string, passed, failed, skipped int) {
	t.Helper()
	var status struct {
		Upstreams []struct {
			Peers []struct {
				State  string
				Health struct{ Passed, Failed, Skipped int }
			}
		}
	}
	if err := json.Unmarshal([]byte(s.command(t, "status", "--json").stdout), &status); err != nil {
		t.Fatal(err)
	}
	for _, p := range status.Upstreams[0].Peers {
		if p.State != "away" { // the spare port
			return p.State, p.Health.Passed, p.Health.Failed, p.Health.Skipped
		}
	}
	return "", 0, 0, 0
}

// A php-cgi has one thread. Probes that wait behind a slow page would take it for dead.
func TestHealth_ABusyProcessIsNotProbed(t *testing.T) {
	s := startAsked(t, kinds[0], `
    kind: php-cgi
    root: site
    health: {path: /hello.php, interval: 250ms, timeout: 250ms, match: {body: hello from php}}
    backend:
      processes: 1
      ready: {path: /hello.php}
`)
	eventually(t, "a probe has passed", func() bool {
		_, passed, _, _ := s.probed(t)
		return passed > 0
	})
	table := s.command(t, "status").stdout
	if !regexp.MustCompile(`LAST EXIT +LAST PROBE\n1 .* ok \d+s ago\n`).MatchString(table) {
		t.Errorf("got a table that does not show the last probe:\n%s", table)
	}
	var clients []<-chan answer
	for range 6 { // three seconds of work for the one process
		clients = append(clients, s.getAsync("slow"))
	}
	eventually(t, "five probes were skipped", func() bool {
		_, _, _, skipped := s.probed(t)
		return skipped >= 5
	})
	for _, c := range clients {
		if a := <-c; a.status != http.StatusOK {
			t.Errorf("got status %d, want 200", a.status)
		}
	}
	if state, _, _, _ := s.probed(t); state != "up" || strings.Contains(s.errorLog(), "unhealthy") {
		t.Errorf("got a peer that is %s after it was busy:\n%s", state, s.errorLog())
	}
}

// uWSGI without --need-app accepts connections although the application could not be loaded. What it answers then is no 2xx.
func TestReady_ABrokenDeployOverFastCGIIsRefused(t *testing.T) {
	s := startAsked(t, kinds[1], `
    kind: uwsgi
    backend:
      command: [uwsgi, --plugin, python3, --fastcgi-socket, "127.0.0.1:{port}", --module, project, --disable-logging]
      directory: site
      processes: 2
      ready: {path: /hello, warmup: [/hello], timeout: 10s}
`)
	project := filepath.Join(s.dir, "site", "project.py")
	if err := os.WriteFile(project, []byte("raise RuntimeError('broken deploy')\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.command(t, "restart"); got.exit == 0 || !strings.Contains(got.stderr, "GET /hello: 500") {
		t.Errorf("got exit status %d and %q, want a refusal that says what was answered", got.exit, got.stderr)
	}
	for range 4 {
		if a, err := s.get("hello"); err != nil || string(a.body) != kinds[1].hello {
			t.Errorf("got %d %q, %v, want the answer of before", a.status, a.body, err)
		}
	}
}
