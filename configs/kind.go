package configs

import (
	"slices"
	"strings"
	"time"
)

// preset is what is known of one kind of program: what it fills when a file does not say it, and what contradicts it. It
// says nothing of readiness: no path is answered by every application, so a process is ready when its port is; and nothing
// of the number of processes, which is the machine's and not the program's.
type preset struct {
	name string

	// The first one is the preset. sockets are arguments of the command, or their names, that say which one it is.
	protocols []Protocol
	sockets   map[string]Protocol
	general   []string // those of sockets that --protocol overrides

	programs []string // names of programs that are of this kind without doubt, and what python -m takes
	inferred bool     // such a program is of this kind when kind is not written
	command  []string // the preset; nil where it would have to name the application
	needs    []string // a command with a program of this kind has one of these flags

	// Requests that one process serves at once; 0 is no limit. Flags and variables that are written say it better: the
	// numbers of counts multiply, one of single makes it 1, and a class that is not one of threaded makes it no limit.
	// When the number is in a file, which is not read here, it has to be written: files are the flags that name one, found
	// the name of one that is read without a flag.
	concurrency int
	counts      [][]string
	single      []string
	classes     []string
	threaded    []string
	files       []string
	found       string

	keepalive   int      // idle connections; 0 where one would hold a thread, or is closed by the peer sooner than by us
	maxRequests int      // 0 is never
	stopSignal  string   // empty is the usual one
	settle      Duration // a broken application ends the process within this after its port answered; 0 where it never listens
	env         []Field  // variables that the processes need

	unixOnly string // why it does not run on Windows and what does instead; empty where it runs
}

// python is the environment of every program in Python. Without the first line what it prints stays in a buffer of 8 KiB,
// and is lost when the process is killed. Without the second a pipe has the code page of Windows, and a print of a letter
// that is not in it ends the request.
func python() []Field {
	return []Field{{"PYTHONUNBUFFERED", "1"}, {"PYTHONIOENCODING", "utf-8"}}
}

// idleConnections is the preset where an idle connection costs a socket and no thread: nginx's since 1.29.7, and enough for
// eight processes with four requests each.
const idleConnections = 32

// loading is the preset for programs that open their port before they load the application, such as a restart would else
// believe in: most applications are loaded, or have ended the process, in that time.
const loading = Duration(5 * time.Second)

// presets is the table of kinds.
func presets() []preset {
	return []preset{{
		// One thread, which is held by an idle connection as well. A second request would wait in the backlog of its socket,
		// where neither the balancer nor the queue sees it.
		name: "php-cgi", protocols: []Protocol{FastCGI}, concurrency: 1, counts: [][]string{{phpChildren}},
		programs: []string{"php-cgi"}, inferred: true, needs: []string{"-b", "--bindpath"},
		command: []string{"php-cgi", "-b", "127.0.0.1:{port}"},
		// Extensions leak, so a process does not live for ever. 10000 is what Microsoft writes for PHP under IIS: PHP's own
		// 500 would be a start each five seconds at 100 requests per second.
		maxRequests: 10000,
		env: []Field{
			// PHP ends by itself after 500 requests, with the next connection already in its backlog: a 502. 0 is never.
			{phpMaxRequests, "0"},
			// One that is inherited makes children that share the port; on Windows one of them gets all requests.
			{phpChildren, "0"},
		},
	}, {
		// Django's runfcgi up to 1.8, and old Flask. method=threaded has a thread for each connection, idle ones included.
		name: "flup", protocols: []Protocol{FastCGI, SCGI}, env: python(),
		sockets: map[string]Protocol{"protocol=fcgi": FastCGI, "protocol=scgi": SCGI},
	}, {
		// Four threads unless told otherwise; its loop holds idle connections without a thread, for 120 s.
		name: "waitress", protocols: []Protocol{HTTP}, concurrency: 4, counts: [][]string{{"--threads"}},
		programs: []string{"waitress-serve", "waitress"}, keepalive: idleConnections, env: python(),
	}, {
		// One worker of class sync unless told otherwise. That class closes after each answer, and the others after 2 s: an
		// idle connection would be closed under our next request.
		name: "gunicorn", protocols: []Protocol{HTTP}, concurrency: 1,
		counts:   [][]string{{"-w", "--workers", "WEB_CONCURRENCY"}, {"--threads"}},
		classes:  []string{"-k", "--worker-class"},
		threaded: []string{"sync", "gthread"},
		files:    []string{"-c", "--config", "GUNICORN_CMD_ARGS"}, found: "gunicorn.conf.py",
		programs: []string{"gunicorn"}, env: python(), settle: loading,
		unixOnly: `gunicorn does not run on Windows (it needs fork); with waitress write kind: waitress and ` +
			`command: [waitress-serve, "--listen=127.0.0.1:{port}", "MODULE:APPLICATION"]`,
	}, {
		// One process with one thread unless told otherwise; a connection holds it. Of the signals only int ends it in any
		// case: with --master term reloads it, and --die-on-term swaps term and quit.
		name: "uwsgi", protocols: []Protocol{FastCGI, HTTP, SCGI, UWSGI}, concurrency: 1, stopSignal: "int",
		settle: loading,
		sockets: map[string]Protocol{
			"--fastcgi-socket": FastCGI, "--http-socket": HTTP, "--http": HTTP, "--scgi-socket": SCGI,
			"--uwsgi-socket": UWSGI, "--socket": UWSGI, "-s": UWSGI,
		},
		general: []string{"--socket", "-s"},
		counts:  [][]string{{"-p", "--processes", "--workers"}, {"--threads"}, {"--gevent", "--async"}},
		files:   []string{"--ini", "--yaml", "--yml", "--json", "--xml", "-x", "-y", "-j", "--emperor"},
		// Python's variables are for its plugin; it is the reason why uwsgi is here.
		programs: []string{"uwsgi"}, env: python(),
		unixOnly: `uwsgi does not run on Windows (it needs fork); with waitress write kind: waitress and ` +
			`command: [waitress-serve, "--listen=127.0.0.1:{port}", "MODULE:APPLICATION"]`,
	}, {
		// An event loop: no limit of its own, and an idle connection, which it closes after an hour, costs no thread.
		name: "tornado", protocols: []Protocol{HTTP}, keepalive: idleConnections, env: python(),
	}, {
		// gevent.pywsgi: a greenlet for each connection, which is never closed by it.
		name: "gevent", protocols: []Protocol{HTTP}, keepalive: idleConnections, env: python(),
	}, {
		// The development server: since Flask 1.0 it has a thread for each connection, idle ones included.
		name: "flask", protocols: []Protocol{HTTP}, single: []string{"--without-threads"},
		programs: []string{"flask"}, command: []string{"flask", "run", "--host", "127.0.0.1", "--port", "{port}"}, env: python(),
	}, {
		// The development server: a thread for each connection, idle ones included. Its reloader is a second process.
		name: "django", protocols: []Protocol{HTTP}, single: []string{"--nothreading"},
		command: []string{interpreter, "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"}, env: python(),
	}}
}

const (
	phpMaxRequests = "PHP_FCGI_MAX_REQUESTS"
	phpChildren    = "PHP_FCGI_CHILDREN"
)

// generic is the word for a program of which nothing is known; Upstream.Kind is empty then.
const generic = "generic"

// presetOf returns what is known of the kind of this name; nothing of the generic one.
func presetOf(name string) (preset, bool) {
	all := presets()
	if i := slices.IndexFunc(all, func(p preset) bool { return p.name == name }); i >= 0 {
		return all[i], true
	}
	return preset{}, false
}

// presetOfProgram returns what is known of the kind of a program that is of one without doubt.
func presetOfProgram(name string) (preset, bool) {
	all := presets()
	if i := slices.IndexFunc(all, func(p preset) bool { return p.runs(name) }); i >= 0 {
		return all[i], true
	}
	return preset{}, false
}

// runs reports whether a program is of the kind without doubt. Distributions append a version: php-cgi8.2.
func (p *preset) runs(program string) bool {
	return slices.Contains(p.programs, strings.TrimRight(program, "0123456789."))
}

func (r *reader) kind(n *node) (string, bool) {
	var names []string
	all := presets()
	for i := range all {
		names = append(names, all[i].name)
	}
	return word(append(names, generic))(r, n)
}
