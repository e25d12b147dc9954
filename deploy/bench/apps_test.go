package main

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"text/template"
	"time"
)

// nothing is a server that answers nobody.
func nothing(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return ln
}

func TestOrder_TolerantCountsWhatFails(t *testing.T) {
	ln := nothing(t)
	defer ln.Close()
	o := order{Addr: ln.Addr().String(), Size: kilobyte, Fresh: true, Rate: 100, Length: 50 * time.Millisecond, Tolerant: true}
	l, err := o.run(t.Context(), []*client{newClient(&o, nil)})
	if err != nil || l.Requests != 0 || l.Failed != 5 {
		t.Errorf("got %+v, %v, want 5 failed requests", l, err)
	}
	o.Tolerant = false
	if _, err := o.run(t.Context(), []*client{newClient(&o, nil)}); err == nil {
		t.Error("without tolerance: got no error")
	}
}

func TestApps_AreThereWithTheirSettings(t *testing.T) {
	f := func(a app, wanted ...string) {
		t.Helper()
		parsed, err := template.ParseFS(templates, a.server.Template)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		err = parsed.Execute(&text, map[string]any{"Addr": "127.0.0.1:8000", "Peers": []string{"127.0.0.1:9000"}, "More": a.setting})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wanted {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", a.name(), want, &text)
			}
		}
		module, _, _ := strings.Cut(a.setting.Module, ":")
		if err := fstest.TestFS(pages, "pages/"+module+".py"); err != nil {
			t.Errorf("%s: %v", a.name(), err)
		}
	}
	all := apps("/tmp/x")
	if len(all) != 10 {
		t.Fatalf("got %d applications", len(all))
	}
	f(all[0], "http-socket = 127.0.0.1:8000", "uwsgi-socket = 127.0.0.1:9000", "threads = 4", "flask_page:application", "chdir = /tmp/x")
	f(all[1], "gevent = 100", "gevent_python3")
	f(all[2], `worker_class = "sync"`, "workers = 8")
	f(all[8], `worker_class = "gthread"`, "threads = 4", "workers = 2", "django_page:application")
	f(all[9], `worker_class = "gevent"`)
}

func TestTemplates_ProxiesOfApplicationsKeepNoConnections(t *testing.T) {
	all := apps("/tmp/x")
	if text := fill(t, "nginx", all[0].scenario); !strings.Contains(text, "uwsgi_pass app;") || strings.Contains(text, "keepalive ") {
		t.Errorf("got\n%s", text)
	}
	if text := fill(t, "spillway", all[0].scenario); !strings.Contains(text, "protocol: uwsgi") || !strings.Contains(text, "keepalive: 0") {
		t.Errorf("got\n%s", text)
	}
}

func TestAppsReport(t *testing.T) {
	page := scenario{about: "Flask on x", conns: 10}
	first := round{load: load{Requests: 500, Failed: 2, Length: time.Second, Mean: 3e6, P50: 2e6, P99: 9e6}}
	second := first
	second.load.Failed, second.load.Requests = 1, 700
	got := appsReport([]result{
		{scenario: page, proxy: direct, closed: []round{first, second}},
		{scenario: page, proxy: nginxName, failed: errors.New("out of order")},
	})
	for _, want := range []string{
		"| Flask on x | direct | 10 | 600 (500–700) | 3.00 (3.00–3.00) | 2.00 (2.00–2.00) | 9.00 (9.00–9.00) | 3 |\n",
		"\n\n- Flask on x: nginx is left out: out of order\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestReadAppsPlan(t *testing.T) {
	_, concurrency, err := readAppsPlan([]string{"-concurrency", "1,20"})
	if err != nil || len(concurrency) != 2 || concurrency[1] != 20 {
		t.Errorf("got %v, %v", concurrency, err)
	}
	for _, list := range []string{"", "0", "1,x"} {
		if _, _, err := readAppsPlan([]string{"-concurrency", list}); err == nil {
			t.Errorf("%q: got no error", list)
		}
	}
}
