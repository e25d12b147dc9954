package main

import (
	"context"
	"embed"
	"fmt"
	"log"
	"os/exec"
	"slices"

	"spillway/deploy/internal/program"
)

const (
	nginxName    = "nginx"
	spillwayName = "spillway"
)

// The configurations are equivalent: the same peers, with kept connections, an access log, nginx's buffers, two processes or
// threads. What a program cannot do like nginx stands in its template.
//
//go:embed *.tmpl
var templates embed.FS

// commands are the programs that there are to compare, nginx first. Their names are those of Debian's programs.
func commands() []program.Command {
	return []program.Command{
		{Name: nginxName, Template: "nginx.conf.tmpl"},
		{Name: "haproxy", Template: "haproxy.cfg.tmpl", Args: []string{"-db", "-f"}},
		{Name: "lighttpd", Template: "lighttpd.conf.tmpl", Args: []string{"-D", "-f"}},
		{Name: "caddy", Template: "Caddyfile.tmpl", Args: []string{"run", "--adapter", "caddyfile", "--config"}},
		{Name: spillwayName, Template: "spillway.yaml.tmpl"},
	}
}

// find finds the programs that are wanted; one that is not installed is left out. A name that is in files stands for those: builds
// of a program, to be compared with each other.
func find(wanted []string, files map[string][]string) []program.Command {
	var found []program.Command
	all := commands()
	for i := range all {
		c := &all[i]
		if !slices.Contains(wanted, c.Name) {
			continue
		}
		builds, ok := files[c.Name]
		if !ok {
			builds = []string{c.Name}
		}
		for n, file := range builds {
			if _, err := exec.LookPath(file); err != nil {
				log.Printf("%s is left out: %v", c.Name, err)
				continue
			}
			build := *c
			if build.File = file; n > 0 {
				build.Name = fmt.Sprintf("%s-%d", c.Name, n+1)
			}
			found = append(found, build)
		}
	}
	return found
}

// setting is what the templates are given besides.
type setting struct {
	Conns       int // clients, the slow ones among them
	Kept        int // idle connections that a program keeps to its peers, where nginx's two workers keep Conns each
	Connections int // of clients and to peers, and some more
	Log         bool
	Certificate string // as in scenario
}

func newSetting(s *scenario) setting {
	n := s.conns + s.slow
	return setting{Conns: n, Kept: 2 * n, Connections: 2*n + 1024, Log: !s.noLog, Certificate: s.certificate}
}

// startProxies starts the proxies of the plan before the same peers, and leaves those out that do not start. The caller stops
// them.
func startProxies(ctx context.Context, p *plan, s *scenario, peers []string, results []result) []*program.Program {
	proxies := make([]*program.Program, len(p.commands))
	for i := range p.commands {
		c := p.commands[i]
		if results[i].failed != nil {
			continue
		}
		c.Templates, c.Protocol, c.Peers, c.More = templates, s.protocol, peers, newSetting(s)
		started, err := program.Start(ctx, c)
		if err != nil {
			results[i].leaveOut(err)
			continue
		}
		proxies[i] = started
	}
	return proxies
}

func stopProxies(proxies []*program.Program) {
	for _, p := range proxies {
		if p != nil {
			p.Stop()
		}
	}
}
