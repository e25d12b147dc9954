package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"spillway/deploy/internal/program"
)

// pages are the applications, of one page each.
//
//go:embed pages/*.py
var pages embed.FS

// direct is the way of a client to an application without a proxy.
const direct = "direct"

// appsCommand compares how fast pages of Flask and Django are by themselves, behind nginx and behind spillway, on several servers
// of applications, in the columns of ab: each client makes a new connection for each request, and what fails is counted.
//
//	bench apps [-spillway FILE] [-concurrency N,...] [-rounds N] [-length TIME]
//
// nginx and spillway speak uwsgi with uWSGI, and HTTP with gunicorn.
func appsCommand(ctx context.Context, args []string, out io.Writer) error {
	p, concurrency, err := readAppsPlan(args)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.CopyFS(folder, pages); err != nil {
		return err
	}
	var results []result
	all := apps(filepath.Join(folder, "pages"))
	for i := range all {
		a := &all[i]
		more, err := a.compare(ctx, p, concurrency)
		if ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			more = []result{{scenario: a.scenario, proxy: direct}}
			more[0].leaveOut(err)
		}
		results = append(results, more...)
	}
	_, err = io.WriteString(out, appsReport(results))
	return err
}

// readAppsPlan reads the command line behind "apps".
func readAppsPlan(args []string) (p *plan, concurrency []int, err error) {
	p = &plan{}
	flags := flag.NewFlagSet("bench apps", flag.ContinueOnError)
	spillway := flags.String(spillwayName, spillwayName, "spillway's program")
	clients := flags.String("concurrency", "10,100", "numbers of clients")
	if err := p.parse(flags, args, 3, "rounds for each way and number of clients"); err != nil {
		return nil, nil, err
	}
	for text := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, nil, fmt.Errorf("-concurrency: %q is no number of clients", text)
		}
		concurrency = append(concurrency, n)
	}
	p.commands = find([]string{nginxName, spillwayName}, map[string][]string{spillwayName: {*spillway}})
	return p, concurrency, nil
}

// An app is a page on a server of applications. Its scenario has no number of clients, so that proxies keep no connections.
type app struct {
	scenario

	server  program.Command
	setting appSetting
}

// appSetting is what the templates of the servers are given besides.
type appSetting struct {
	Pages     string // folder
	Module    string
	Processes int
	Threads   int    // of each process
	Class     string // gunicorn's class of workers
}

// Gevent says that a process serves requests in coroutines.
func (s appSetting) Gevent() bool { return s.Class == "gevent" }

// apps are all that there are, in the order of the report. With threads or processes eight requests are served at once.
func apps(folder string) []app {
	uwsgi := program.Command{Name: "uwsgi", File: "uwsgi", Args: []string{"--ini"}, Template: "uwsgi.ini.tmpl", Templates: templates}
	gunicorn := program.Command{Name: "gunicorn", File: "gunicorn", Template: "gunicorn.py.tmpl", Templates: templates}
	var all []app
	for _, framework := range []string{"Flask", "Django"} {
		add := func(server program.Command, protocol, about string, s appSetting) {
			page := strings.ToLower(framework)
			s.Pages, s.Module = folder, page+"_page:application"
			all = append(all, app{
				scenario: scenario{
					kind: page + "-" + server.Name + "-" + s.Class, protocol: protocol, about: framework + " on " + about,
					size: kilobyte, fresh: true,
				},
				server: server, setting: s,
			})
		}
		add(uwsgi, "uwsgi", "uWSGI, 2 processes of 4 threads", appSetting{Processes: 2, Threads: 4, Class: "threads"})
		add(uwsgi, "uwsgi", "uWSGI, 2 processes with gevent", appSetting{Processes: 2, Class: "gevent"})
		add(gunicorn, "http", "gunicorn, 8 processes, sync", appSetting{Processes: 8, Threads: 1, Class: "sync"})
		add(gunicorn, "http", "gunicorn, 2 processes of 4 threads", appSetting{Processes: 2, Threads: 4, Class: "gthread"})
		add(gunicorn, "http", "gunicorn, 2 processes with gevent", appSetting{Processes: 2, Threads: 1, Class: "gevent"})
	}
	return all
}

// compare lets clients ask for a page directly and by each proxy of the plan, as many at a time as concurrency says. The first
// round is for all to warm up: the last processes of a server may still be on their way.
func (a *app) compare(ctx context.Context, p *plan, concurrency []int) ([]result, error) {
	server, peer, err := a.start(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	ways := newResults(p, &a.scenario)
	proxies := startProxies(ctx, p, &a.scenario, []string{peer}, ways)
	defer stopProxies(proxies)
	t := &contest{
		ways:     append([]result{{scenario: a.scenario, proxy: direct}}, ways...),
		programs: append([]*program.Program{server}, proxies...),
		length:   p.length,
	}
	if _, err := t.measure(ctx, slices.Max(concurrency), 1); err != nil {
		return nil, err
	}
	var all []result
	for _, n := range concurrency {
		results, err := t.measure(ctx, n, p.rounds)
		if err != nil {
			return nil, err
		}
		all = append(all, results...)
	}
	return all, nil
}

// A contest has the ways to one application.
type contest struct {
	ways     []result           // without rounds
	programs []*program.Program // that clients ask, in the same order; nil where a way is left out
	length   time.Duration      // of a round
}

// measure lets a number of clients have some rounds.
func (t *contest) measure(ctx context.Context, clients, rounds int) ([]result, error) {
	results := slices.Clone(t.ways)
	for i := range results {
		results[i].scenario.conns = clients
	}
	return results, interleave(ctx, rounds, results, func(i int) error {
		r := &results[i]
		o := r.scenario.order(t.length, 0)
		o.Addr, o.Tolerant = t.programs[i].Addr, true
		l, err := ask(ctx, o)
		if err != nil {
			return err
		}
		last := round{load: l}
		r.closed = append(r.closed, last)
		log.Printf("%s: %-8s %3d clients, %6.0f requests/s, %d failed", r.scenario.name(), r.proxy, clients, last.perSecond(), l.Failed)
		return nil
	})
}

// start starts the server. A proxy reaches it at peer.
func (a *app) start(ctx context.Context) (server *program.Program, peer string, err error) {
	c := a.server
	c.More = a.setting
	if a.protocol == "uwsgi" {
		if peer, err = program.FreeAddr(ctx); err != nil {
			return nil, "", err
		}
		c.Peers = []string{peer}
	}
	if server, err = program.Start(ctx, c); err != nil {
		return nil, "", err
	}
	if peer == "" {
		peer = server.Addr
	}
	return server, peer, nil
}

// ask lets clients make requests for a while.
func ask(ctx context.Context, o order) (load, error) {
	clients, err := startClients(ctx, o)
	if err != nil {
		return load{}, err
	}
	defer clients.end()
	if err := clients.begin(); err != nil {
		return load{}, err
	}
	return clients.reply()
}

// appsReport is Markdown.
func appsReport(results []result) string {
	var rows, failed strings.Builder
	for i := range results {
		r := &results[i]
		if r.failed != nil {
			fmt.Fprintf(&failed, "- %s: %s is left out: %v\n", r.scenario.about, r.proxy, r.failed)
			continue
		}
		lost := 0
		for _, c := range r.closed {
			lost += c.load.Failed
		}
		fmt.Fprintf(&rows, "| %s | %s | %d | %s | %s | %s | %s | %d |\n", r.scenario.about, r.proxy, r.scenario.conns,
			spread(collect(r.closed, round.perSecond)), spread(collect(r.closed, round.mean)),
			spread(collect(r.closed, round.p50)), spread(collect(r.closed, round.p99)), lost)
	}
	report := "| application | way | concurrency | requests/s | mean ms | median ms | p99 ms | failed |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|\n" + rows.String()
	if failed.Len() > 0 {
		report += "\n" + failed.String()
	}
	return report
}
