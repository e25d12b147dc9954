package configs_test

import (
	"reflect"
	"testing"
	"time"

	"spillway/configs"
)

func TestHealth_Forms(t *testing.T) {
	f := func(written string, want *configs.Health) {
		t.Helper()
		c, err := configs.Parse("spillway.yaml", []byte("listen: 80\nupstreams: {app: {peers: [127.0.0.1:9001], health: "+written+"}}"))
		if err != nil {
			t.Errorf("%s: %v", written, err)
			return
		}
		got := c.Upstreams[0].Health
		if got != nil {
			got.Places = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", written, got, want)
		}
	}
	of := func(change func(*configs.Health)) *configs.Health {
		h := configs.DefaultHealth()
		change(&h)
		return &h
	}
	f("off", nil)
	f("tcp", of(func(h *configs.Health) { h.Probe = configs.ProbeTCP }))
	f("\"/health?full\"", of(func(h *configs.Health) { h.Path = "/health?full" }))
	f("{interval: 1m, timeout: 500ms}", of(func(h *configs.Health) {
		h.Interval, h.Timeout = configs.Duration(time.Minute), configs.Duration(500*time.Millisecond)
	}))
	f(`{path: /a, host: h, fails: 1, passes: 4, mandatory: on, match: {status: "200 301-303", body: ok, header: {X-A: b}}}`,
		of(func(h *configs.Health) {
			h.Path, h.Host, h.Fails, h.Passes, h.Mandatory = "/a", "h", 1, 4, true
			h.Match = configs.Match{
				Status: []configs.StatusRange{{200, 200}, {301, 303}}, Body: "ok", Header: []configs.Field{{Name: "X-A", Value: "b"}},
			}
		}))
}

// TestHealth_Script holds that probes get the script settings of their upstream, and that an upstream without any is the same
// whatever the settings are: its peers would be made anew by a reload.
func TestHealth_Script(t *testing.T) {
	c, err := configs.Parse("spillway.yaml", []byte(`
index: index.php
upstreams:
  a: {protocol: fastcgi, peers: [127.0.0.1:9001], root: /srv/a, params: {A: b}, health: /ping}
  b: {protocol: fastcgi, peers: [127.0.0.1:9002], root: /srv/b}
  c: {protocol: fastcgi, root: /srv/c, backend: {command: [app, '{port}'], ready: {warmup: [/]}}}
servers:
  - {listen: 80, locations: [{path: /, pass: a, root: /srv/location}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b, third := c.Upstreams[0].Script, c.Upstreams[1].Script, c.Upstreams[2].Script
	if a.Index != "index.php" || len(a.Params) != 1 || a.Root == "" || a.Root == c.Servers[0].Locations[0].Settings.Script.Root {
		t.Errorf("a: got %+v, want the settings of the top level and the upstream", a)
	}
	if !reflect.DeepEqual(b, configs.Script{}) {
		t.Errorf("b: got %+v, want nothing", b)
	}
	if third.Root == "" {
		t.Errorf("c: got %+v, want the root of the upstream", third)
	}
}
