package main

import (
	"fmt"
	"strings"
)

const (
	markName     = "SOAK_RUN"
	postsName    = "SOAK_POSTS" // where processes write down which POST they have had
	healthPath   = "/health"
	echoProtocol = "soak-echo"
)

// A service is an upstream and what may be asked of it.
type service struct {
	name      string
	prefix    string // of its paths; the number of the order follows
	settings  string // of the upstream, in YAML
	command   string // of its processes, a list in YAML
	processes int
	backend   string // more settings of the backend, in YAML; empty, or with a comma before
	env       string // of its processes, in YAML; empty, or with a comma before
	location  string // more settings of the location, in YAML; empty, or with a comma before

	largest int  // answer, in bytes
	ends    ends // how an answer of undeclared length ends
	echoes  bool // it takes upgrades
	narrow  bool // one request at a time: here requests queue, and poison harms nobody else
	changes bool // a reload replaces its processes
}

// ends is how the end of an answer is known that does not declare its length.
type ends int

const (
	marked   ends = iota // the protocol says it
	byClose              // by the end of the connection, which a kill has as well: only what leaves in one write is safe
	declared             // likewise, and the program writes as it likes: so none is ordered
)

// ours are the services whose processes are this program, one for each protocol. They write down their POSTs in a file.
func ours(self, posts string) []*service {
	services := []*service{
		{
			name: "http", largest: 3 << 20, echoes: true,
			settings: "protocol: http, keepalive: 8, method: least_conn, " +
				"health: {path: " + healthPath + ", interval: 1s, timeout: 500ms, fails: 2, passes: 1}",
			processes: 3,
		},
		{
			name: "fastcgi", largest: 3 << 20,
			settings:  "protocol: fastcgi, keepalive: 4",
			processes: 3, backend: ", max_requests: 500",
		},
		{
			name: "scgi", largest: 3 << 20, ends: byClose, changes: true,
			settings:  "protocol: scgi, concurrency: 4",
			processes: 3,
		},
		{
			name: "uwsgi", largest: 200 << 10, ends: byClose, narrow: true,
			settings:  "protocol: uwsgi, concurrency: 1, health: tcp",
			processes: 2,
		},
	}
	for _, s := range services {
		s.prefix = "/" + s.name + "/"
		s.env = ", " + postsName + ": " + quoted(posts)
		s.command = fmt.Sprintf("[%s, backend, %s, '{port}']", quoted(self), s.name)
	}
	return services
}

// common are settings of all upstreams. Processes die more often here than the budget of retries is meant for, and all clients
// have one address.
const common = "queue: {length: 1000, per_client: off}, retry_budget: {min: 10}"

// config is one of the two configurations between which spillway is reloaded; mark is in the environment of all processes, as
// markName.
func config(services []*service, addr, admin, mark string, second bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {listen: '%s'}\naccess_log: {path: access.log, format: '$status'}\n", admin)
	fmt.Fprintf(&b, "error_log: {path: error.log, level: notice}\ntemp_path: temp\nclient_max_body_size: 8m\nmemory_budget: 64m\n")
	version := "first"
	if second {
		version = "second"
		fmt.Fprintf(&b, "read_timeout: 50s\nset_header: {X-Soak: second}\nbuffers: 16 4k\n")
	}
	fmt.Fprintf(&b, "upstreams:\n")
	for _, s := range services {
		env := markName + ": " + quoted(mark) + s.env
		if s.changes {
			env += ", SOAK_VERSION: " + version
		}
		fmt.Fprintf(&b, "  %s: {%s, %s, backend: {command: %s, env: {%s}, backoff_max: 1s, processes: %d%s}}\n",
			s.name, s.settings, common, s.command, env, s.processes, s.backend)
	}
	fmt.Fprintf(&b, "servers:\n  - listen: ['%s']\n    locations:\n", addr)
	for _, s := range services {
		fmt.Fprintf(&b, "      - {path: /%s/, pass: %s%s}\n", s.name, s.name, s.location)
	}
	return b.String()
}

// quoted is a text in YAML.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
