package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"spillway/deploy/internal/peers"
	"spillway/deploy/internal/proc"
	"spillway/deploy/internal/program"
)

// wineCommand compares spillway.exe with a proxy of the standard library, both built for Windows and run by Wine, in the prefix
// that WINEPREFIX names. Peers and clients are those of the other comparison, and run without Wine.
//
// Much of what a program for Windows asks of its system is done by wineserver, one process for all of a prefix. What it takes
// in a round is counted as well: it is as much a part of a request's cost as the kernel's part is.
func wineCommand(ctx context.Context, args []string, out io.Writer) error {
	p, err := readWinePlan(args)
	if err != nil {
		return err
	}
	var report strings.Builder
	report.WriteString(wineHead)
	for i := range p.scenarios {
		if err := compareUnderWine(ctx, p, &p.scenarios[i], &report); err != nil {
			return fmt.Errorf("%s: %w", p.scenarios[i].name(), err)
		}
	}
	_, err = io.WriteString(out, report.String())
	return err
}

// referenceName is the proxy that others are compared with under Wine.
const referenceName = "reference"

// readWinePlan reads the command line behind "wine".
func readWinePlan(args []string) (*plan, error) {
	p := &plan{}
	flags := flag.NewFlagSet("bench wine", flag.ContinueOnError)
	cases := flags.String("case", "small-http,fresh-http,medium-http", "names of cases, all over HTTP")
	wine := flags.String("wine", "wine", "program that runs programs for Windows")
	reference := flags.String(referenceName, referenceName+".exe", "the standard library's proxy")
	spillway := flags.String(spillwayName, spillwayName+".exe", "spillway's program; more than one with commas")
	err := p.parse(flags, args, 5, "rounds for each proxy")
	if err != nil {
		return nil, err
	}
	if p.scenarios, err = choose(*cases); err != nil {
		return nil, err
	}
	for i := range p.scenarios {
		if s := &p.scenarios[i]; s.protocol != "http" || s.idle || s.tls {
			return nil, fmt.Errorf("not under Wine: %s", s.name())
		}
	}
	p.commands = []program.Command{
		{Name: referenceName, File: *wine, Args: []string{*reference, "-c"}, Template: "reference.json.tmpl"},
	}
	for file := range strings.SplitSeq(*spillway, ",") {
		name := strings.TrimSuffix(filepath.Base(file), ".exe")
		p.commands = append(p.commands, program.Command{Name: name, File: *wine, Args: []string{file, "-c"}, Template: "spillway.yaml.tmpl"})
	}
	return p, nil
}

// wineserver is the id of the process that serves a prefix.
func wineserver(prefix string) (int, error) {
	pids, err := proc.WithEnv("WINEPREFIX=" + prefix)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && strings.HasPrefix(string(name), "wineserver") {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no wineserver for WINEPREFIX=%s: no program runs there", prefix)
}

// A wineRound is a round with what wineserver took meanwhile.
type wineRound struct {
	round

	server time.Duration
}

func (r wineRound) own() float64        { return r.cpuPerRequest() }
func (r wineRound) wineserver() float64 { return round{load: r.load, cpu: r.server}.cpuPerRequest() }
func (r wineRound) both() float64       { return r.own() + r.wineserver() }

// compareUnderWine measures the proxies of the plan in one scenario, in a closed loop, and adds their rows to the report.
func compareUnderWine(ctx context.Context, p *plan, s *scenario, report *strings.Builder) error {
	set, err := peers.Start(ctx, s.protocol, peers.Count, answer(s.size))
	if err != nil {
		return err
	}
	defer set.Close()
	results := newResults(p, s)
	proxies := startProxies(ctx, p, s, set.Addrs, results)
	defer stopProxies(proxies)
	server, err := wineserver(os.Getenv("WINEPREFIX"))
	if err != nil {
		return err
	}
	rounds := make([][]wineRound, len(proxies))
	// One more, in which all warm up.
	err = interleave(ctx, 1+p.rounds, results, func(i int) error {
		r, err := measureUnderWine(ctx, proxies[i], server, s.order(p.length, 0))
		log.Printf("%s: %s, %.2f µs wineserver", s.name(), r.describe(proxies[i].Name), r.wineserver())
		rounds[i] = append(rounds[i], r)
		return err
	})
	if err != nil {
		return err
	}
	for i := range results {
		if err := results[i].failed; err != nil {
			return fmt.Errorf("%s: %w", results[i].proxy, err)
		}
		fmt.Fprintln(report, wineRow(s.name(), results[i].proxy, rounds[i][1:], rounds[0][1:]))
	}
	return nil
}

// measureUnderWine is measure with a look at wineserver. The proxies that have no clients meanwhile do not ask it for anything.
func measureUnderWine(ctx context.Context, proxy *program.Program, server int, o order) (wineRound, error) {
	before, err := proc.CPUTime(server)
	if err != nil {
		return wineRound{}, err
	}
	r, err := measure(ctx, proxy, o)
	if err != nil {
		return wineRound{}, err
	}
	after, err := proc.CPUTime(server)
	return wineRound{r, after - before}, err
}

// wineHead is the head of the report.
const wineHead = "| case | proxy | CPU µs/request | of these wineserver's | to " + referenceName + " | requests/s |\n" +
	"|---|---|---:|---:|---:|---:|\n"

// wineRow compares a proxy with another one round by round.
func wineRow(scenario, proxy string, rounds, base []wineRound) string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", scenario, proxy, spread(collect(rounds, wineRound.both)),
		spread(collect(rounds, wineRound.wineserver)), digits(ratio(rounds, base, wineRound.both)), spread(collect(rounds, wineRound.perSecond)))
}
