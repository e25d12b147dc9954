package app

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"spillway/configs"
)

// announce tells the operator at the terminal what runs and where to look.
func (a *App) announce() {
	if a.opts.Out == nil {
		return
	}
	say := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(a.opts.Out, "  %-11s %s\n", what, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintf(a.opts.Out, "spillway %s, configuration: %s\n", a.opts.Version, a.config.File)
	for _, l := range a.listeners {
		say("serving", "%s", browsable(l.address))
	}
	for _, b := range a.backends {
		text := fmt.Sprintf("%s, %d on %s", b.config.Name, len(b.ports), portList(b.ports))
		if b.ready() == 0 {
			text += "; none is ready, see the error log"
		}
		say("processes", "%s", text)
	}
	if a.admin != nil {
		admin, _, _ := strings.Cut(browsable(a.config.Admin.Address), ",")
		say("status", "%s/status", admin)
		say("metrics", "%s/metrics", admin)
	}
	if a.config.ErrorLog.Path == configs.Stderr {
		say("error log", "standard error")
	} else {
		say("error log", "%s", a.config.ErrorLog.Path)
	}
	if a.config.AccessLog.Path != "" {
		say("access log", "%s", a.config.AccessLog.Path)
	}
	_, _ = fmt.Fprintln(a.opts.Out, "Ctrl+C stops it: requests that run are finished first. Once more ends it at once.")
}

// browsable turns a listen address into what one types into a browser on this machine, and says when others see it too.
func browsable(address string) string {
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
	return "http://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":80") + where
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
