package main

import (
	"context"
	"fmt"
	"strings"

	"spillway/deploy/internal/instance"
	"spillway/deploy/internal/program"
)

// A site is spillway with processes of its demo.
type site struct {
	*instance.Instance

	file  string // spillway's
	extra string // listener that only the second configuration has
}

func startSite(ctx context.Context, file string) (*site, error) {
	s := &site{file: file}
	var err error
	if s.extra, err = program.FreeAddr(ctx); err != nil {
		return nil, err
	}
	s.Instance, err = instance.Start(ctx, file, func(addr, admin string) string { return s.config(addr, admin, false) })
	return s, err
}

// addresses are those of the load: the processes that stay and those that every reload replaces.
func (s *site) addresses() []target {
	return []target{{s.Addr, "stays"}, {s.Addr, "changes"}}
}

// config is one of the two configurations between which spillway is reloaded. They differ in everything that a reload can
// change: settings, limits, the environment of processes, an upstream, a listener.
func (s *site) config(addr, admin string, second bool) string {
	exe := "'" + strings.ReplaceAll(s.file, "'", "''") + "'"
	backend := func(processes int, more string) string {
		return fmt.Sprintf("{protocol: fastcgi, backend: {command: [%s, demo-process, '{port}', '{process}'], processes: %d%s}}",
			exe, processes, more)
	}
	var b strings.Builder
	version, listen, more := "first", "", ""
	if second {
		version, listen = "second", ", '"+s.extra+"'"
		more = "read_timeout: 50s\nkeepalive_timeout: 70s\nset_header: {X-Churn: second}\nmemory_budget: 128m\n"
	}
	fmt.Fprintf(&b, "admin: {listen: '%s'}\naccess_log: {path: access.log, format: '$status'}\n%s", admin, more)
	fmt.Fprintf(&b, "error_log: {path: error.log, level: notice}\nupstreams:\n")
	fmt.Fprintf(&b, "  stays: %s\n", backend(2, ""))
	fmt.Fprintf(&b, "  changes: %s\n", backend(1, ", env: {CHURN: "+version+"}"))
	if second {
		fmt.Fprintf(&b, "  comes: %s\n", backend(1, ""))
	}
	fmt.Fprintf(&b, "servers:\n")
	for _, name := range []string{"stays", "changes"} {
		fmt.Fprintf(&b, "  - {listen: ['%s'%s], server_name: [%s], locations: [{path: /, pass: %s}]}\n", addr, listen, name, name)
	}
	if second {
		fmt.Fprintf(&b, "  - {listen: ['%s'], server_name: [comes], locations: [{path: /, pass: comes}]}\n", addr)
	}
	return b.String()
}

// reload writes one of the two configurations and lets spillway read it.
func (s *site) reload(ctx context.Context, second bool) error {
	return s.Reload(ctx, s.config(s.Addr, s.Admin, second))
}
