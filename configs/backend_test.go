package configs_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spillway/configs"
)

func TestParse_CountsProcesses(t *testing.T) {
	const s = configs.Duration(time.Second)
	f := func(lines string, want configs.Processes) {
		t.Helper()
		u := upstream(t, "    backend: {command: [app, '{port}'], "+lines+"}")
		if got := u.Backend.Processes; got != want {
			t.Errorf("%s: got %+v, want %+v", lines, got, want)
		}
	}
	f("processes: 3", configs.Processes{Min: 3, Max: 3})
	f("processes: {min: 2, max: 8, spare: 1-3, idle: 1m}", configs.Processes{Min: 2, Max: 8, SpareMin: 1, SpareMax: 3, Idle: 60 * s})
	f("processes: {min: 2}", configs.Processes{Min: 2, Max: 8, SpareMin: 1, SpareMax: 3, Idle: 10 * s})
	f("processes: {max: 2}", configs.Processes{Min: 1, Max: 2, SpareMin: 1, SpareMax: 2, Idle: 10 * s})
	f("processes: {min: 0, max: 4}", configs.Processes{Min: 0, Max: 4, SpareMin: 0, SpareMax: 3, Idle: 10 * s})
	f("processes: {max: 4, spare: 2}", configs.Processes{Min: 1, Max: 4, SpareMin: 2, SpareMax: 2, Idle: 10 * s})
	f("processes: {min: 4, max: 4}", configs.Processes{Min: 4, Max: 4})
	f("processes: {min: 2}, ports: 9001-9005", configs.Processes{Min: 2, Max: 5, SpareMin: 1, SpareMax: 3, Idle: 10 * s})
	f("processes: {max: 4}, ports: 9001-9005", configs.Processes{Min: 1, Max: 4, SpareMin: 1, SpareMax: 3, Idle: 10 * s})
}

func TestParse_ReadsWhatReplacesAProcess(t *testing.T) {
	c := parse(t, `
listen: 80
upstreams:
  app:
    backend:
      command: [app, "{port}"]
      max_requests: 1000
      max_age: 1d
      max_memory: 500m
      busy_timeout: 5m
      watch: [app.py, "*.py"]
      ready: {warmup: /a}
      rapid_fail: 5 in 5m
      output: {path: "app-{process}.log", rotate: {size: 10m, compress: off}}
`)
	b := c.Upstreams[0].Backend
	if b.MaxRequests != 1000 || b.MaxRequestsJitter != 100 || time.Duration(b.MaxAge) != 24*time.Hour || b.MaxMemory != 500*configs.MiB ||
		time.Duration(b.BusyTimeout) != 5*time.Minute {
		t.Errorf("got %+v", b)
	}
	if want := []string{filepath.Join(c.Dir, "app.py"), filepath.Join(c.Dir, "*.py")}; !slices.Equal(b.Watch, want) || !slices.Equal(b.Ready.Warmup, []string{"/a"}) {
		t.Errorf("got watch %q, want %q; warmup %q", b.Watch, want, b.Ready.Warmup)
	}
	if b.RapidFail != (configs.RapidFail{Times: 5, Within: configs.Duration(5 * time.Minute)}) {
		t.Errorf("got rapid_fail %v", b.RapidFail)
	}
	want := configs.Output{Path: filepath.Join(c.Dir, "app-{process}.log"), Rotate: configs.Rotate{Size: 10 * configs.MiB, Keep: 10}}
	if b.Output != want {
		t.Errorf("got output %+v, want %+v", b.Output, want)
	}
}

func TestParse_ReadsRotateAndControl(t *testing.T) {
	c := parse(t, "listen: 80\ncontrol: auto\naccess_log: {rotate: {every: 1d, keep: 3}}\nerror_log: {rotate: {size: 1g, every: off}}"+peer)
	if want := (configs.Rotate{Every: configs.Duration(24 * time.Hour), Keep: 3, Compress: true}); c.AccessLog.Rotate != want {
		t.Errorf("got %+v, want %+v", c.AccessLog.Rotate, want)
	}
	if want := (configs.Rotate{Size: configs.GiB, Keep: 10, Compress: true}); c.ErrorLog.Rotate != want || c.Control != "" {
		t.Errorf("got %+v, want %+v; control %q", c.ErrorLog.Rotate, want, c.Control)
	}
	if c := parse(t, "listen: 80\ncontrol: off"+peer); c.Control != configs.ControlOff {
		t.Errorf("got control %q, want off", c.Control)
	}
}

func TestEqual_DoesNotMindPlaces(t *testing.T) {
	const text = "listen: 80\nupstreams: {app: {backend: {command: [app, '{port}'], ports: 9001-9002, processes: 1}}}"
	one := parse(t, text).Upstreams[0]
	f := func(text string, want bool) {
		t.Helper()
		if got := configs.Equal(one, parse(t, text).Upstreams[0]); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	f("\n\n"+text, true)
	f("listen: 80\nupstreams: {app: {protocol: http, backend: {command: [app, '{port}'], ports: [9001, 9002], processes: {min: 1, max: 1}}}}", true)
	f("listen: 80\nupstreams: {app: {backend: {command: [app, '{port}'], ports: 9001-9003, processes: 1}}}", false)
	f("listen: 80\nupstreams: {app: {backend: {command: [app, '{port}', x], ports: 9001-9002, processes: 1}}}", false)
	f("listen: 80\nupstreams: {app: {backend: {command: [app, '{port}'], ports: 9001-9002, processes: 1, ready: {path: /x}}}}", false)
	f("listen: 80"+peer, false)
}
