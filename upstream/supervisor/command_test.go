package supervisor_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spillway/upstream/supervisor"
)

func TestBackend_HandsOverArgumentsAndEnvironment(t *testing.T) {
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	t.Setenv("SUPERVISOR_TEST_INHERITED", "kept")
	t.Setenv("SUPERVISOR_TEST_OVERRIDDEN", "old")
	arguments := []string{`a b`, `say "hi"`, `back\slash\`, `100%PATH%`, `käse`, `$HOME`, "", `port={port}`, `n={process}{process}`}
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Command = append(o.Command, arguments...)
		o.Env["SUPERVISOR_TEST_OVERRIDDEN"] = "new on {port}"
	})
	h.start(t)
	h.awaitReady(t, 1)
	port := strconv.Itoa(h.opts.Ports[0])
	answer := get(t, h.opts.Ports[0])
	want := slices.Clone(arguments)
	want[7], want[8] = "port="+port, "n=11"
	if !slices.Equal(answer.Args, want) {
		t.Errorf("got arguments %q, want %q", answer.Args, want)
	}
	for _, pair := range []string{"SUPERVISOR_TEST_INHERITED=kept", "SUPERVISOR_TEST_OVERRIDDEN=new on " + port} {
		if !slices.Contains(answer.Env, pair) {
			t.Errorf("%s is not in the environment", pair)
		}
	}
	if slices.ContainsFunc(answer.Env, func(pair string) bool { return strings.HasPrefix(strings.ToUpper(pair), "HTTP_PROXY=") }) {
		t.Error("the proxy was handed on")
	}
}

func TestBackend_FindsTheProgramInItsDirectory(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Directory = filepath.Dir(filepath.Dir(o.Command[0]))
		program, err := filepath.Rel(o.Directory, o.Command[0])
		if err != nil {
			t.Fatal(err)
		}
		o.Command = []string{program}
	})
	h.start(t)
	h.awaitReady(t, 1)
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	good := supervisor.Options{Name: "app", Command: []string{"x"}, Processes: supervisor.Count{Min: 1, Max: 1}, Ports: []int{9001}}
	f := func(want string, change func(*supervisor.Options)) {
		t.Helper()
		opts := good
		change(&opts)
		if _, err := supervisor.New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	f("command", func(o *supervisor.Options) { o.Command = nil })
	f("processes", func(o *supervisor.Options) { o.Processes.Max = 0 })
	f("1 ports for 2", func(o *supervisor.Options) { o.Processes.Max = 2 })
	f("port 9001", func(o *supervisor.Options) { o.Ports = []int{9001, 9001} })
	f("port 70000", func(o *supervisor.Options) { o.Ports = []int{70000} })
	f("env name", func(o *supervisor.Options) { o.Env = map[string]string{"A=B": "c"} })
	f("slash", func(o *supervisor.Options) { o.Ready.Path = "ready" })
	f("slash", func(o *supervisor.Options) { o.Ready.Warmup = []string{"/", "warm"} })
	f("negative", func(o *supervisor.Options) { o.StopTimeout = -1 })
	f("negative", func(o *supervisor.Options) { o.MaxMemory = -1 })
	f("rapid fail", func(o *supervisor.Options) { o.RapidFail.Times = 3 })
	f("stop signal", func(o *supervisor.Options) { o.StopSignal = "please" })
	f("processes is 2 to 1", func(o *supervisor.Options) { o.Processes.Min = 2 })
	f("spare", func(o *supervisor.Options) { o.Processes.SpareMin = 1 })
	if _, err := supervisor.New(good); err != nil {
		t.Errorf("got %v, want the rest accepted", err)
	}
}

func TestFreePorts_AreDifferent(t *testing.T) {
	ports, err := supervisor.FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if got := len(slices.Compact(ports)); got != 20 || ports[0] < 1 {
		t.Errorf("got %d different ports from %d, want 20", got, ports[0])
	}
}
