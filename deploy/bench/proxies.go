package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"
)

const nginxName = "nginx"

// The configurations are equivalent: keep-alive to the peers, an access log, buffers of nginx's defaults.
//
//go:embed nginx.conf.tmpl spillway.yaml.tmpl
var templates embed.FS

// A proxy is a running program under test.
type proxy struct {
	name   string
	addr   string
	folder string // configuration, logs, temporary files
	cmd    *exec.Cmd
	output bytes.Buffer  // of the program; read after done only
	done   chan struct{} // closed when the program has ended
}

// A setting is what the templates are given.
type setting struct {
	Addr     string
	Folder   string
	Protocol string
	Peers    []string
}

// startProxies starts the proxies of the plan before the same peers. The caller stops them.
func startProxies(ctx context.Context, p plan, protocol string, peers []string) ([]*proxy, error) {
	var proxies []*proxy
	for _, program := range []struct {
		name, file, template string
	}{
		{nginxName, p.nginx, "nginx.conf.tmpl"},
		{"spillway", p.spillway, "spillway.yaml.tmpl"},
	} {
		if program.file == "" {
			continue
		}
		started, err := startProxy(ctx, program.name, program.file, program.template, protocol, peers)
		if err != nil {
			stopProxies(proxies)
			return nil, err
		}
		proxies = append(proxies, started)
	}
	return proxies, nil
}

func startProxy(ctx context.Context, name, file, templateName, protocol string, peers []string) (*proxy, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bench-"+name)
	if err != nil {
		return nil, err
	}
	p := &proxy{name: name, addr: addr, folder: folder, done: make(chan struct{})}
	config, err := writeConfig(templateName, setting{Addr: addr, Folder: folder, Protocol: protocol, Peers: peers})
	if err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, file, "-c", config)
	p.cmd.Dir = folder
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the program
		_ = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.waitUntilOpen(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// writeConfig fills a template in and returns the name of the file.
func writeConfig(name string, s setting) (string, error) {
	t, err := template.ParseFS(templates, name)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return "", err
	}
	file := filepath.Join(s.Folder, name[:len(name)-len(".tmpl")])
	return file, os.WriteFile(file, text.Bytes(), 0o600)
}

func (p *proxy) pid() int { return p.cmd.Process.Pid }

// waitUntilOpen returns when the proxy accepts connections.
func (p *proxy) waitUntilOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-p.done:
			return fmt.Errorf("%s ended early: %s", p.name, p.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", p.name, err)
		}
	}
}

func stopProxies(proxies []*proxy) {
	for _, p := range proxies {
		p.stop()
	}
}

// stop ends the program and removes its folder.
func (p *proxy) stop() {
	// On an error it has ended already.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	_ = os.RemoveAll(p.folder)
}
