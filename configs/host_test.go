package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The machine is a parameter here, so that each sees what is refused on the other.

func hostProblems(t *testing.T, h host, dir, text string) Problems {
	t.Helper()
	c, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(text))
	if err != nil {
		t.Fatalf("got problems:\n%v", err)
	}
	return c.checkHost(h)
}

func TestCheckHost_KnowsWhatDoesNotRunOnWindows(t *testing.T) {
	f := func(upstream string, h host, want string) {
		t.Helper()
		var got string
		for _, p := range hostProblems(t, h, t.TempDir(), "listen: 80\nupstreams: {app: {"+upstream+"}}") {
			if !strings.Contains(p.Message, "executable file not found") {
				got += p.Key + ": " + p.Message + "\n"
			}
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: got %q, want %q", upstream, got, want)
		}
	}
	windows, other := host{windows: true}, host{}
	gunicorn := "kind: gunicorn, backend: {command: [gunicorn, '-b127.0.0.1:{port}', 'app:app']}"
	f(gunicorn, windows, "upstreams.app.kind: gunicorn does not run on Windows (it needs fork); with waitress write kind: waitress and command: [waitress-serve, ")
	f(gunicorn, other, "")
	f("kind: gunicorn, peers: [127.0.0.1:9001]", windows, "") // they run elsewhere
	uwsgi := "kind: uwsgi, backend: {command: [uwsgi, --http-socket, '127.0.0.1:{port}']}"
	f(uwsgi, windows, "upstreams.app.kind: uwsgi does not run on Windows")
	f(uwsgi, other, "")
	children := "backend: {processes: 2, command: [php-cgi, -b, '127.0.0.1:{port}'], env: {PHP_FCGI_CHILDREN: 4}}"
	f(children, windows, "upstreams.app.backend.env.PHP_FCGI_CHILDREN: on Windows one of the children of a php-cgi gets all requests")
	f(children, other, "")
	f("kind: php-cgi, backend: {processes: 2}", windows, "")
}

func TestCheckHost_FindsNumbersOfGunicornInItsFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gunicorn.conf.py"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(lines string, want bool) {
		t.Helper()
		problems := hostProblems(t, host{}, dir, "listen: 80\nupstreams: {app: {kind: gunicorn, "+lines+"}}")
		if got := strings.Contains(problems.Error(), "may be in gunicorn.conf.py, which is not read here"); got != want {
			t.Errorf("%s: got %v", lines, problems)
		}
	}
	f("backend: {command: [gunicorn, '-b127.0.0.1:{port}']}", true)
	f("concurrency: 0, backend: {command: [gunicorn, '-b127.0.0.1:{port}']}", false)
}

func TestCheckHost_KnowsNamesOfControl(t *testing.T) {
	f := func(control string, windows bool, want string) {
		t.Helper()
		k := checker{config: &Config{Control: control}}
		k.control(host{windows: windows})
		if got := k.problems.Error(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", control, got, want)
		}
	}
	for _, windows := range []bool{true, false} {
		f("", windows, "")
		f(ControlOff, windows, "")
	}
	f(`\\.\pipe\site`, true, "")
	f(`\\.\PIPE\site`, true, "")
	f(`\\.\pipe\a\b`, true, "has no separator")
	f(`C:\run\site.sock`, true, "is not the name of a pipe")
	f(`\\.\pipe\site`, false, "is the name of a pipe of Windows")
	f("/run/site.sock", false, "")
	f("/"+strings.Repeat("x", 103), false, "104 bytes are too many for a unix socket")
}

func TestControlName_IsWhole(t *testing.T) {
	name := controlName(t.TempDir(), "site")
	k := checker{config: &Config{Control: name}}
	k.control(host{windows: onWindows})
	if !filepath.IsAbs(name) || filepath.Base(name) != "site" || isPipe(name) != onWindows {
		t.Errorf("got %q, %v", name, k.problems)
	}
	if pipe := `\\.\pipe\site`; controlName("/x", pipe) != pipe {
		t.Errorf("got %q", controlName("/x", pipe))
	}
}
