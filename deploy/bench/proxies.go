package main

import (
	"context"
	"embed"

	"spillway/deploy/internal/program"
)

const nginxName = "nginx"

// The configurations are equivalent: keep-alive to the peers, an access log, buffers of nginx's defaults.
//
//go:embed nginx.conf.tmpl spillway.yaml.tmpl
var templates embed.FS

// startProxies starts the proxies of the plan before the same peers. The caller stops them.
func startProxies(ctx context.Context, p plan, protocol string, peers []string) ([]*program.Program, error) {
	var proxies []*program.Program
	for _, c := range []program.Command{
		{Name: nginxName, File: p.nginx, Template: "nginx.conf.tmpl"},
		{Name: "spillway", File: p.spillway, Template: "spillway.yaml.tmpl"},
	} {
		if c.File == "" {
			continue
		}
		c.Templates, c.Protocol, c.Peers = templates, protocol, peers
		started, err := program.Start(ctx, c)
		if err != nil {
			stopProxies(proxies)
			return nil, err
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
