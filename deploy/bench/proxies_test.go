package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"text/template"

	"spillway/deploy/internal/program"
)

// fill fills in the configuration of a program, as package program does.
func fill(t *testing.T, name string, s scenario) string {
	t.Helper()
	all := commands()
	c := all[slices.IndexFunc(all, func(c program.Command) bool { return c.Name == name })]
	parsed, err := template.ParseFS(templates, c.Template)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, struct {
		Addr, Folder, Protocol string
		Peers                  []string
		More                   setting
	}{"127.0.0.1:8080", "/tmp/x", s.protocol, []string{"127.0.0.1:9001", "127.0.0.1:9002"}, newSetting(&s)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return text.String()
}

func TestTemplates_SayWhatAScenarioWants(t *testing.T) {
	f := func(name string, s scenario, wanted ...string) {
		t.Helper()
		text := fill(t, name, s)
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
	}
	// What nginx's two workers keep together, the others keep at once.
	http := scenario{protocol: "http", conns: 64}
	f("nginx", http, "keepalive 64;", "server 127.0.0.1:9002;", "access_log /tmp/x/access.log")
	f("spillway", http, "keepalive: 128", "- 127.0.0.1:9002", "path: /tmp/x/access.log")
	f("caddy", http, "keepalive_idle_conns 128", "127.0.0.1:9002", "output file /tmp/x/access.log")
	f("haproxy", http, "127.0.0.1:9002", "option httplog")
	f("lighttpd", http, `"port" => 9002`, "proxy.server", "/tmp/x/access.log")

	quiet := scenario{protocol: "fastcgi", conns: 64, noLog: true}
	f("nginx", quiet, "fastcgi_pass", "access_log off")
	f("spillway", quiet, "protocol: fastcgi", "access_log: off")
	f("caddy", quiet, "transport fastcgi")
	f("haproxy", quiet, "proto fcgi")
	f("lighttpd", quiet, "fastcgi.server")

	secret := scenario{protocol: "http", conns: 64, certificate: "/tmp/c.pem"}
	f("nginx", secret, "backlog=4096 ssl;", "ssl_certificate /tmp/c.pem;", "ssl_certificate_key /tmp/c.pem;")
	f("spillway", secret, `listen: ["127.0.0.1:8080 tls"]`, "tls: {certificate: /tmp/c.pem, protocols: TLSv1.3}")
	f("caddy", secret, "https://localhost:8080 {", "tls /tmp/c.pem /tmp/c.pem {")
	f("haproxy", secret, "ssl crt /tmp/c.pem")
	f("lighttpd", secret, "mod_openssl", `ssl.pemfile = "/tmp/c.pem"`)
}

func TestCompare_GoesOnWithoutWhatDoesNotStart(t *testing.T) {
	f := func(name, protocol, want string, s scenario) {
		t.Helper()
		p := &plan{rounds: 1, commands: []program.Command{{Name: name, File: "/no/such/program", Template: "nginx.conf.tmpl"}}}
		s.protocol = protocol
		results, err := compare(t.Context(), p, &s)
		if err != nil || len(results) != 1 || results[0].proxy != name {
			t.Fatalf("%s: got %+v, %v, want one result", name, results, err)
		}
		if got := results[0].failed; got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, got, want)
		}
	}
	f(nginxName, "http", "/no/such/program", scenario{kind: "small"})
	f(nginxName, "fastcgi", "/no/such/program", scenario{kind: "idle", idle: true})
}

// TestFind_ComparesBuilds: each file that stands for a name is a program of its own; what is not there is left out.
func TestFind_ComparesBuilds(t *testing.T) {
	found := find([]string{spillwayName}, map[string][]string{spillwayName: {"/bin/sh", "/bin/nothing", "/bin/cat"}})
	var got []string
	for _, c := range found {
		got = append(got, c.Name+"="+c.File)
	}
	if want := []string{"spillway=/bin/sh", "spillway-3=/bin/cat"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
