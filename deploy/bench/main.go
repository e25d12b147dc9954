// Command bench compares spillway with nginx on this machine: the same peers, an equivalent configuration, the same load.
//
//	bench [-spillway FILE] [-nginx FILE] [-rounds N] [-seconds N] [-conns N]
//
// Eight cheap peers for each protocol run in this process. The load, a closed loop over keep-alive connections, runs in
// a process of its own. Each proxy is loaded in turn, round by round, so that what else the machine does hits both. The measure
// is the CPU time that the proxy's processes took for a request, as the kernel counts it; unlike requests per second, it
// depends little on who else wanted the CPU. The result is a Markdown table on standard output. It needs Linux's /proc.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"spillway/deploy/internal/peers"
	"spillway/deploy/internal/proc"
	"spillway/deploy/internal/program"
)

// A plan is what the command line asks for.
type plan struct {
	nginx    string // program; empty leaves nginx out
	spillway string // program; empty leaves spillway out
	rounds   int
	length   time.Duration // of one round
	conns    int           // connections of the load
}

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(args []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(args) > 0 && args[0] == "load" {
		return loadCommand(ctx, args[1:], out)
	}
	var p plan
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&p.nginx, "nginx", "nginx", "nginx's program; empty leaves nginx out")
	flags.StringVar(&p.spillway, "spillway", "", "spillway's program; empty leaves spillway out")
	flags.IntVar(&p.rounds, "rounds", 5, "rounds for each proxy")
	flags.DurationVar(&p.length, "length", 5*time.Second, "length of one round")
	flags.IntVar(&p.conns, "conns", 64, "keep-alive connections of the load")
	if err := flags.Parse(args); err != nil {
		return err
	}

	var results []result
	for _, protocol := range []string{"fastcgi", "http"} {
		more, err := compare(ctx, p, protocol)
		if err != nil {
			return fmt.Errorf("%s: %w", protocol, err)
		}
		results = append(results, more...)
	}
	return writeTable(out, results)
}

// compare measures every proxy of the plan in front of peers of one protocol.
func compare(ctx context.Context, p plan, protocol string) ([]result, error) {
	set, err := peers.Start(ctx, protocol, peers.Count, answer)
	if err != nil {
		return nil, err
	}
	defer set.Close()

	proxies, err := startProxies(ctx, p, protocol, set.Addrs)
	if err != nil {
		return nil, err
	}
	defer stopProxies(proxies)
	results := make([]result, len(proxies))
	for i, proxy := range proxies {
		results[i] = result{protocol: protocol, proxy: proxy.Name}
		// Warms up connections and caches; not counted.
		if _, err := measure(ctx, proxy, time.Second, p.conns); err != nil {
			return nil, err
		}
	}

	for n := range p.rounds {
		for i := range proxies {
			// Every other round in reverse: none is always the first.
			if n%2 == 1 {
				i = len(proxies) - 1 - i
			}
			r, err := measure(ctx, proxies[i], p.length, p.conns)
			if err != nil {
				return nil, err
			}
			log.Printf("%s round %d: %s", protocol, n+1, r.describe(proxies[i].Name))
			results[i].rounds = append(results[i].rounds, r)
		}
	}
	setRatios(results)
	return results, nil
}

// measure loads one proxy for a while and reads its CPU time before and after.
func measure(ctx context.Context, proxy *program.Program, length time.Duration, conns int) (round, error) {
	before, err := proc.CPUTime(proxy.PID())
	if err != nil {
		return round{}, err
	}
	load, err := runLoad(ctx, proxy.Addr, length, conns)
	if err != nil {
		return round{}, fmt.Errorf("load on %s: %w", proxy.Name, err)
	}
	after, err := proc.CPUTime(proxy.PID())
	if err != nil {
		return round{}, err
	}
	return round{load: load, cpu: after - before}, nil
}
