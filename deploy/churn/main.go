// Command churn shows that spillway loses nothing while it is changed: under a constant load its configuration is reloaded,
// its processes are restarted and its logs are reopened, again and again.
//
//	churn -spillway FILE [-reloads N] [-reopens N] [-restarts N] [-length 10s] [-conns N] [-pause 5ms]
//
// The load is a closed loop with a pause, half of it over keep-alive connections and half over a new connection for each request. A client
// repeats nothing: whatever is not a complete 200 is a failure, an end of a kept connection without notice too. At the end
// spillway must have counted, and its access logs must have, exactly the requests that the clients made. The figures go to
// standard output; the exit status is 1 when anything was lost.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"os/signal"
	"time"
)

// A plan is what the command line asks for.
type plan struct {
	spillway string // program
	reloads  int
	reopens  int
	restarts int
	length   time.Duration // of the load, at least
	conns    int
	pause    time.Duration
}

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("churn: ", err)
	}
}

func run(args []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var p plan
	flags := flag.NewFlagSet("churn", flag.ContinueOnError)
	flags.StringVar(&p.spillway, "spillway", "", "spillway's program")
	flags.IntVar(&p.reloads, "reloads", 1000, "reloads of the configuration, between two that differ")
	flags.IntVar(&p.reopens, "reopens", 200, "renames of the access log, each with a reopen")
	flags.IntVar(&p.restarts, "restarts", 200, "rolling restarts of all processes")
	flags.DurationVar(&p.length, "length", 0, "how long the load lasts at least")
	flags.IntVar(&p.conns, "conns", 64, "connections of the load")
	flags.DurationVar(&p.pause, "pause", 5*time.Millisecond, "what a client waits before its next request; processes start in no time only on a "+
		"machine that has some left")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.spillway == "" {
		return errors.New("-spillway is missing")
	}
	s, err := startSite(ctx, p.spillway)
	if err != nil {
		return err
	}
	defer s.Stop()
	r, err := churn(ctx, s, p)
	if err == nil {
		err = r.write(out)
	}
	if err != nil {
		s.ErrorLog(os.Stderr)
	}
	return err
}

// churn does everything of the plan under load, and compares what was asked with what spillway has counted.
func churn(ctx context.Context, s *site, p plan) (*report, error) {
	began := time.Now()
	l := startLoad(ctx, s.addresses(), p.conns, p.pause)
	deeds, err := s.change(ctx, p)
	if rest := p.length - time.Since(began); rest > 0 && err == nil {
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
	r := l.end()
	if err != nil {
		return nil, errors.Join(err, r.failure())
	}
	r.deeds, r.length = deeds, time.Since(began)
	if r.counted, err = s.Requests(ctx); err != nil {
		return nil, err
	}
	r.logged, err = s.Quit(ctx)
	return r, err
}
