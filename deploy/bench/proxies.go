package main

import (
	"context"
	"embed"
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

// find finds the programs that are wanted; one that is not installed is left out. A name that is in files stands for that file.
func find(wanted []string, files map[string]string) []program.Command {
	all := commands()
	for i := range all {
		c := &all[i]
		c.File = c.Name
		if file, ok := files[c.Name]; ok {
			c.File = file
		}
	}
	return slices.DeleteFunc(all, func(c program.Command) bool {
		if !slices.Contains(wanted, c.Name) {
			return true
		}
		_, err := exec.LookPath(c.File)
		if err != nil {
			log.Printf("%s is left out: %v", c.Name, err)
		}
		return err != nil
	})
}

// setting is what the templates are given besides.
type setting struct {
	Conns       int // clients
	Kept        int // idle connections that a program keeps to its peers, where nginx's two workers keep Conns each
	Connections int // of clients and to peers, and some more
	Log         bool
}

func newSetting(s *scenario) setting {
	return setting{Conns: s.conns, Kept: 2 * s.conns, Connections: 2*s.conns + 1024, Log: !s.noLog}
}

// startProxies starts the proxies of the plan before the same peers. The caller stops them, also after an error.
func startProxies(ctx context.Context, p *plan, s *scenario, peers []string) ([]*program.Program, error) {
	var proxies []*program.Program
	for i := range p.commands {
		c := p.commands[i]
		c.Templates, c.Protocol, c.Peers, c.More = templates, s.protocol, peers, newSetting(s)
		started, err := program.Start(ctx, c)
		if err != nil {
			return proxies, err
		}
		proxies = append(proxies, started)
	}
	return proxies, nil
}

func stopProxies(proxies []*program.Program) {
	for _, p := range proxies {
		p.Stop()
	}
}
