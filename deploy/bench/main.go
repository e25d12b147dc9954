// Command bench compares spillway with nginx, HAProxy, lighttpd and Caddy on this machine: the same peers, equivalent
// configurations, the same load.
//
//	bench [-case NAME,...] [-proxies NAME,...] [-spillway FILE,...] [-rounds N] [-length TIME] [-closed] [-svg FILE]
//
// Eight cheap peers run in this process, the clients in one of their own. Each proxy is loaded in turn, round by round, so that
// what else the machine does hits all. The measure is the CPU time that the proxy's processes took for a request, as the
// kernel counts it; unlike requests per second, it depends little on who else wanted the CPU. It is taken in a closed loop. How
// long a request takes is measured in an open loop, from when it was due, at half of the requests per second of the closed one;
// -closed leaves that out.
//
// The result is Markdown on standard output, and a plot of the ratios. It needs Linux's /proc.
//
// bench wine and bench apps are other comparisons by the same clients; their functions say of what.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"spillway/deploy/internal/program"
)

// A plan is what the command line asks for.
type plan struct {
	scenarios []scenario
	commands  []program.Command
	rounds    int
	length    time.Duration // of one round
	closed    bool          // no open loop
	svg       string        // file of the plot; empty: there is none
}

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 2 && args[0] == "load" {
		return loadCommand(ctx, args[1], in, out)
	}
	if len(args) > 0 && args[0] == "wine" {
		return wineCommand(ctx, args[1:], out)
	}
	if len(args) > 0 && args[0] == "apps" {
		return appsCommand(ctx, args[1:], out)
	}
	p, err := readPlan(args)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	certificate, err := writeCertificate(folder)
	if err != nil {
		return err
	}
	var results []result
	for i := range p.scenarios {
		s := &p.scenarios[i]
		if s.tls {
			s.certificate = certificate
		}
		more, err := compare(ctx, p, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		setRatios(more)
		results = append(results, more...)
	}
	if p.svg != "" {
		if err := writePlot(p.svg, results); err != nil {
			return err
		}
	}
	return writeReport(out, results)
}

// parse reads the flags, and how many rounds there are to be of which length, which all comparisons have.
func (p *plan) parse(flags *flag.FlagSet, args []string, rounds int, about string) error {
	flags.IntVar(&p.rounds, "rounds", rounds, about)
	flags.DurationVar(&p.length, "length", 2*time.Second, "length of one round")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.rounds < 1 || p.length <= 0 {
		return errors.New("-rounds and -length must be more than 0")
	}
	return nil
}

// readPlan reads the command line.
func readPlan(args []string) (*plan, error) {
	p := &plan{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	cases := flags.String("case", "", "names of cases, such as small-http,small-fastcgi; empty is all")
	names := flags.String("proxies", "nginx,haproxy,lighttpd,caddy,spillway", "names of the programs to compare")
	spillway := flags.String(spillwayName, spillwayName, "spillway's program; more than one with commas")
	flags.BoolVar(&p.closed, "closed", false, "leave out the open loop: CPU time, no latencies")
	flags.StringVar(&p.svg, "svg", "", "file for the plot")
	err := p.parse(flags, args, 5, "rounds for each proxy")
	if err != nil {
		return nil, err
	}
	if p.scenarios, err = choose(*cases); err != nil {
		return nil, err
	}
	p.commands = find(strings.Split(*names, ","), map[string][]string{spillwayName: strings.Split(*spillway, ",")})
	return p, nil
}
