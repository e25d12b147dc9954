package app

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"spillway/configs"
	"spillway/upstream/supervisor"
)

// announce tells the operator at the terminal what runs and where to look.
func (a *App) announce() {
	if a.opts.Out == nil {
		return
	}
	say := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(a.opts.Out, "  %-11s %s\n", what, fmt.Sprintf(format, args...))
	}
	g := a.generation()
	_, _ = fmt.Fprintf(a.opts.Out, "spillway %s, configuration: %s\n", a.opts.Version, g.config.File)
	for _, l := range g.listeners {
		say("serving", "%s", browsable(l.address, l.secure.Load() != nil))
	}
	for i, made := range g.groups {
		if made.backend != nil {
			say("processes", "%s", a.describeBackend(made, g.config.Upstreams[i].Backend))
		}
	}
	if g.admin != nil {
		admin, _, _ := strings.Cut(browsable(g.admin.address, false), ",")
		say("status", "%s/status", admin)
		say("metrics", "%s/metrics", admin)
	}
	if g.config.ErrorLog.Path == configs.Stderr {
		say("error log", "standard error")
	} else {
		say("error log", "%s", g.config.ErrorLog.Path)
	}
	if g.config.AccessLog.Path != "" {
		say("access log", "%s", g.config.AccessLog.Path)
	}
	_, _ = fmt.Fprintln(a.opts.Out, "Ctrl+C stops it: requests that run are finished first. Once more ends it at once.")
}

// describeBackend says how many processes there are, and where.
func (a *App) describeBackend(g *group, config *configs.Backend) string {
	n := config.Processes
	number := strconv.Itoa(n.Max)
	if n.Min != n.Max {
		number = fmt.Sprintf("%d to %d", n.Min, n.Max)
	}
	text := fmt.Sprintf("%s, %s on %s", g.config.Name, number, portList(g.ports))
	switch spare := len(g.ports) - n.Max; {
	case spare == 1:
		text += ", one of them spare for a replacement"
	case spare > 1:
		text += fmt.Sprintf(", %d of them spare for replacements", spare)
	}
	if n.Min > 0 && a.countProcesses(g.config.Name, []supervisor.State{supervisor.Ready}) == 0 {
		text += "; none is ready, see the error log"
	}
	return text
}

// browsable turns a listen address into what one types into a browser on this machine, and says when others see it too.
func browsable(address string, secure bool) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	where := ""
	switch host {
	case "", "0.0.0.0":
		host, where = "127.0.0.1", ", and all other IPv4 addresses of this machine"
	case "::":
		host, where = "::1", ", and all other IPv6 addresses of this machine"
	}
	scheme, usual := "http://", ":80"
	if secure {
		scheme, usual = "https://", ":443"
	}
	return scheme + strings.TrimSuffix(net.JoinHostPort(host, port), usual) + where
}

// portList writes ports for people: a range when they are one.
func portList(ports []int) string {
	if len(ports) == 1 {
		return "port " + strconv.Itoa(ports[0])
	}
	isRange := len(ports) > 2
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = strconv.Itoa(p)
		isRange = isRange && p == ports[0]+i
	}
	if isRange {
		return "ports " + texts[0] + "-" + texts[len(texts)-1]
	}
	return "ports " + strings.Join(texts, ", ")
}
