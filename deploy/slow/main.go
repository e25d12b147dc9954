// Command slow shows what slow clients cost the peers behind spillway and behind nginx, on this machine.
//
//	slow [-spillway FILE] [-nginx FILE] [-clients N] [-size N] [-rate N]
//
// All clients ask for a large response at the same time: first fast ones, which read as fast as they can, then, from a proxy
// started afresh, slow ones. The peers notice when the proxy closes the connection, that is, when they are free. When all are,
// the slow clients have been slow for long enough, and read the rest fast. Each client compares every byte with what its peer
// has sent.
//
// The result is a Markdown table on standard output: the times from the requests to the closed connections, and what the proxy
// took for them in memory, on disk and of the CPU. It needs Linux's /proc.
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
)

// A plan is what the command line asks for.
type plan struct {
	nginx    string // program; empty leaves nginx out
	spillway string // program; empty leaves spillway out
	clients  int
	size     int // of a response, in bytes
	rate     int // of a slow client, in bytes per second
}

// timeLimit is for the whole run; it takes half of that on two busy cores.
const timeLimit = time.Minute

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("slow: ", err)
	}
}

func run(args []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	var p plan
	flags := flag.NewFlagSet("slow", flag.ContinueOnError)
	flags.StringVar(&p.nginx, "nginx", "nginx", "nginx's program; empty leaves nginx out")
	flags.StringVar(&p.spillway, "spillway", "", "spillway's program; empty leaves spillway out")
	flags.IntVar(&p.clients, "clients", 100, "clients at the same time")
	flags.IntVar(&p.size, "size", 10e6, "bytes of a response")
	flags.IntVar(&p.rate, "rate", 200e3, "bytes per second that a slow client reads")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := checkDisk(p); err != nil {
		return err
	}

	b := newBodies(p.clients, p.size)
	var results []result
	for _, protocol := range []string{"fastcgi", "http"} {
		proxies := p.proxies()
		for i := range proxies {
			proxy := &proxies[i]
			r := result{protocol: protocol, proxy: proxy.Name}
			for _, pace := range []struct {
				rate int
				cost *cost
			}{{0, &r.fast}, {p.rate, &r.slow}} {
				cost, err := measure(ctx, *proxy, protocol, b, pace.rate)
				if err != nil {
					return fmt.Errorf("%s, %s, rate %d: %w", protocol, proxy.Name, pace.rate, err)
				}
				log.Printf("%-8s %-8s rate %6d: %s", protocol, proxy.Name, pace.rate, cost.describe())
				*pace.cost = cost
			}
			results = append(results, r)
		}
	}
	return writeTable(out, results)
}

// checkDisk asks for room for two and a half times all responses: those of one proxy, those of the last one whose room the
// file system has not got back yet, and some for the rest of the machine.
func checkDisk(p plan) error {
	free, err := freeDisk(os.TempDir())
	if err != nil {
		return fmt.Errorf("%s: %w", os.TempDir(), err)
	}
	if needed := int64(p.clients) * int64(p.size) * 5 / 2; free < needed {
		return fmt.Errorf("%s has %d bytes left, %d are needed", os.TempDir(), free, needed)
	}
	return nil
}
