package configs_test

import (
	"slices"
	"testing"

	"spillway/configs"
)

// upstream returns the only upstream of a file with the lines in it.
func upstream(t *testing.T, lines string) *configs.Upstream {
	t.Helper()
	return parse(t, "listen: 80\nupstreams:\n  app:\n"+lines).Upstreams[0]
}

func TestKind_FillsWhatIsNotWritten(t *testing.T) {
	u := upstream(t, "    kind: php-cgi\n    backend: {processes: 2}")
	b := u.Backend
	if u.Protocol != configs.FastCGI || u.Concurrency != 1 || u.Keepalive != 0 || b.MaxRequests != 10000 || b.MaxRequestsJitter != 1000 {
		t.Errorf("got %+v, %+v", u, b)
	}
	if want := []string{"php-cgi", "-b", "127.0.0.1:{port}"}; !slices.Equal(b.Command, want) {
		t.Errorf("got %q, want %q", b.Command, want)
	}
	if want := []configs.Field{{Name: "PHP_FCGI_MAX_REQUESTS", Value: "0"}, {Name: "PHP_FCGI_CHILDREN", Value: "0"}}; !slices.Equal(b.Env, want) {
		t.Errorf("got %v, want %v", b.Env, want)
	}
	if u.Queue != configs.DefaultQueue() || u.HoldTimeout != configs.DefaultHoldTimeout || b.StopSignal != "term" {
		t.Errorf("got queue %v, hold_timeout %v, stop_signal %s", u.Queue, u.HoldTimeout, b.StopSignal)
	}

	u = upstream(t, "    kind: uwsgi\n    backend: {command: [uwsgi, --fastcgi-socket, '127.0.0.1:{port}']}")
	if u.Protocol != configs.FastCGI || u.Backend.StopSignal != "int" || u.Backend.Env[0].Name != "PYTHONUNBUFFERED" || u.Backend.MaxRequests != 0 {
		t.Errorf("got %+v, %+v", u, u.Backend)
	}
}

func TestKind_LetsWhatIsWrittenWin(t *testing.T) {
	u := upstream(t, `    concurrency: 2
    keepalive: 3
    kind: php-cgi
    queue: off
    hold_timeout: off
    backend:
      command: [php-cgi, -b, "127.0.0.1:{port}", -d, x=y]
      env: {PHP_FCGI_CHILDREN: 4, PHP_FCGI_MAX_REQUESTS: 220}
      max_requests: 100
      stop_signal: quit
`)
	b := u.Backend
	if u.Concurrency != 2 || u.Keepalive != 3 || u.Queue != (configs.Queue{}) || u.HoldTimeout != 0 {
		t.Errorf("got %+v", u)
	}
	if len(b.Command) != 5 || len(b.Env) != 2 || b.MaxRequests != 100 || b.MaxRequestsJitter != 10 || b.StopSignal != "quit" {
		t.Errorf("got %+v", b)
	}
}

func TestKind_FollowsFromPHP(t *testing.T) {
	f := func(program, want string) {
		t.Helper()
		u := upstream(t, "    backend: {command: ['"+program+"', -b, '127.0.0.1:{port}']}")
		if u.Kind != want {
			t.Errorf("%s: got kind %q, want %q", program, u.Kind, want)
		}
	}
	f("php-cgi", "php-cgi")
	f("/usr/bin/php-cgi8.2", "php-cgi")
	f(`C:\php\PHP-CGI.exe`, "php-cgi")
	f("php-cgi-wrapper", "")
	f("gunicorn", "") // it runs as well without, and would have other defaults all of a sudden
	if u := upstream(t, "    kind: generic\n    backend: {command: [app, '{port}']}"); u.Kind != "" {
		t.Errorf("got %q for generic", u.Kind)
	}
}

func TestKind_CountsRequestsByTheCommand(t *testing.T) {
	f := func(kind, command string, want int) {
		t.Helper()
		u := upstream(t, "    kind: "+kind+"\n    backend: {command: ["+command+", '{port}']}")
		if u.Concurrency != want {
			t.Errorf("%s: got concurrency %d, want %d", command, u.Concurrency, want)
		}
	}
	f("waitress", "waitress-serve, app:app", 4)
	f("waitress", "waitress-serve, --threads=8, app:app", 8)
	f("waitress", "py, -3, -m, waitress, --threads, 16, app:app", 16)
	f("waitress", "python, run.py", 4)
	f("gunicorn", "gunicorn, app:app", 1)
	f("gunicorn", "gunicorn, --threads, 4, app:app", 4)
	f("gunicorn", "gunicorn, -w2, --threads=4, -k, gthread, app:app", 8)
	f("gunicorn", "gunicorn, -w, 2, -k, uvicorn.workers.UvicornWorker, app:app", 0)
	f("gunicorn", "gunicorn, --workers, many, app:app", 1)
	f("uwsgi", "uwsgi, --fastcgi-socket, x, --processes=3, --threads, 2", 6)
	f("uwsgi", "uwsgi, --fastcgi-socket, x, --threads", 1)
	f("flask", "flask, run, --without-threads", 1)
	f("flask", "flask, run", 0)
	f("django", "python, manage.py, runserver, --nothreading", 1)
	f("tornado", "python, app.py", 0)
	if u := upstream(t, "    backend: {command: [php-cgi, -b, '{port}'], env: {PHP_FCGI_CHILDREN: 3}}"); u.Concurrency != 3 {
		t.Errorf("got concurrency %d for three children, want 3", u.Concurrency)
	}
}

func TestKind_SpeaksAsItsSocketDoes(t *testing.T) {
	f := func(flags string, want configs.Protocol) {
		t.Helper()
		u := upstream(t, "    kind: uwsgi\n    backend: {command: [uwsgi, "+flags+"]}")
		if u.Protocol != want {
			t.Errorf("%s: got %s, want %s", flags, u.Protocol, want)
		}
	}
	f("--scgi-socket, '127.0.0.1:{port}'", configs.SCGI)
	f("--uwsgi-socket, '127.0.0.1:{port}'", configs.UWSGI)
	f("'--socket=127.0.0.1:{port}'", configs.UWSGI)
	f("-s, '127.0.0.1:{port}'", configs.UWSGI)
	f("--protocol=http, --scgi-socket, '127.0.0.1:{port}'", configs.SCGI)
	f("--http-socket, '127.0.0.1:{port}'", configs.HTTP)
	f("'--http-socket=127.0.0.1:{port}'", configs.HTTP)
	f("--fastcgi-socket, '127.0.0.1:{port}'", configs.FastCGI)
	f("--protocol, fastcgi, --socket, '127.0.0.1:{port}'", configs.FastCGI)
	f("--protocol=http, -s, '127.0.0.1:{port}'", configs.HTTP)
	flup := func(arg string, want configs.Protocol) {
		t.Helper()
		u := upstream(t, "    kind: flup\n    backend: {command: [python, manage.py, runfcgi, "+arg+", 'port={port}']}")
		if u.Protocol != want {
			t.Errorf("%s: got %s, want %s", arg, u.Protocol, want)
		}
	}
	flup("method=threaded", configs.FastCGI)
	flup("protocol=fcgi", configs.FastCGI)
	flup("protocol=scgi", configs.SCGI)
}

func TestKind_SaysLittleOfPeers(t *testing.T) {
	u := upstream(t, "    kind: php-cgi\n    peers: [127.0.0.1:9001]")
	if u.Protocol != configs.FastCGI || u.Concurrency != 0 || u.Queue != (configs.Queue{}) || u.HoldTimeout != 0 {
		t.Errorf("got %+v, want the protocol alone", u)
	}
	u = upstream(t, "    kind: tornado\n    concurrency: 5\n    peers: [127.0.0.1:9001]")
	if u.Keepalive != 32 || u.Queue != configs.DefaultQueue() {
		t.Errorf("got %+v, want idle connections and a queue", u)
	}
}
