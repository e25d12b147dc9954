// Command soak shows that spillway loses nothing, mixes nothing up and leaks nothing in a long time of everything at once:
// backends of all protocols whose processes are killed, hang and are replaced, clients of all kinds that leave whenever they
// like, and configurations, processes and logs that are changed.
//
//	soak -spillway FILE [-length 1h] [-conns N] [-pause 5ms] [-interval 2s] [-seed N] [-real]
//
// The processes are started by spillway. An answer follows from its request alone, and a client compares every byte of it, as
// the process does with the body of the request. A request is right when the answer is. It is excused when its process was
// killed after the client had a part of the answer, which the client must be able to tell, or when it must not be repeated
// (POST) and spillway says so by 502, 503 or 504. Everything else is a failure: a wrong byte, the answer to another request, a
// body that is too short and looks complete, no answer in time, a connection that is refused or ends without notice. No process
// may get a POST that another one has had.
//
// When the load is over, spillway must hold nothing of it: no buffer, spill file, slot, goroutine or connection. It must have
// counted, and its access logs must have, exactly the requests that the clients made; and when it has ended, its processes
// must have, too. The figures go to standard output; the exit status is 1 when anything was wrong.
//
// Random numbers come from a seed: two runs with the same one ask for the same, if not at the same time. It needs Linux's /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"spillway/deploy/internal/proc"
)

// A plan is what the command line asks for.
type plan struct {
	spillway string        // program
	length   time.Duration // of the load
	conns    int
	pause    time.Duration // of a client before its next request
	interval time.Duration // between two disturbances
	seed     uint64
	real     bool // other programs as well, those that are installed
}

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("soak: ", err)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 3 && args[0] == "backend" {
		return backend(args[1], args[2])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var p plan
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.StringVar(&p.spillway, "spillway", "", "spillway's program")
	flags.DurationVar(&p.length, "length", time.Hour,
		"how long the load lasts at least: the last round of disturbances is brought to its end")
	flags.IntVar(&p.conns, "conns", 48, "clients")
	flags.DurationVar(&p.pause, "pause", 5*time.Millisecond, "what a client waits before its next request")
	flags.DurationVar(&p.interval, "interval", 2*time.Second, "time between two disturbances")
	flags.Uint64Var(&p.seed, "seed", 1, "of the random numbers")
	flags.BoolVar(&p.real, "real", false, "php-cgi, uWSGI and gunicorn as well, if they are installed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.spillway == "" {
		return errors.New("-spillway is missing")
	}
	folder, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // it is a temporary one
	posts := filepath.Join(folder, "posts")
	services, err := p.services(ctx, folder, posts)
	if err != nil {
		return err
	}
	s, err := startSite(ctx, p.spillway, services, posts)
	if err != nil {
		return err
	}
	defer s.Stop()
	r, err := soak(ctx, s, p)
	if r != nil {
		err = errors.Join(err, r.write(out))
	}
	if err != nil {
		s.ErrorLog(os.Stderr)
	}
	return err
}

// services are those of the plan; folder is for the applications of other programs, and posts as in ours.
func (p *plan) services(ctx context.Context, folder, posts string) ([]*service, error) {
	self, err := os.Executable()
	if err != nil || !p.real {
		return ours(self, posts), err
	}
	more, err := installed(ctx, folder)
	return append(ours(self, posts), more...), err
}

// soak does everything of the plan, and compares what is there afterwards with what was before.
func soak(ctx context.Context, s *site, p plan) (*report, error) {
	before, err := s.usage(ctx)
	if err != nil {
		return nil, err
	}
	r := &report{journal: newJournal(), before: before, deeds: map[string]int{}}
	began := time.Now()
	during, over := context.WithCancel(ctx)
	defer over()
	l := startLoad(ctx, s.Addr, s.services, r.journal, p)
	watched := make(chan struct{})
	go func() { // ends when the time of the load is over
		defer close(watched)
		r.memory = watch(during, s.PID(), p.length)
	}()
	d := &disturber{site: s, journal: r.journal, random: rand.New(rand.NewPCG(p.seed, 0)), counts: r.deeds}
	if err := d.disturb(ctx, began.Add(p.length), p.interval); err != nil {
		r.journal.wrong("the run has ended early", err.Error())
	}
	over()
	l.end()
	<-watched
	r.length = time.Since(began)
	err = r.finish(ctx, s)
	return r, err
}

// finish looks at what is left, and ends spillway.
func (r *report) finish(ctx context.Context, s *site) (err error) {
	if r.leaks, r.after, err = s.left(ctx, r.before); err != nil {
		return err
	}
	for name, into := range map[string]*int{
		"nginx_http_requests_total": &r.counted, "spillway_retries_total": &r.retries, "spillway_spills_total": &r.spills,
	} {
		value, err := s.Metric(ctx, name)
		if err != nil {
			return err
		}
		*into = int(value)
	}
	if r.logged, err = s.Quit(ctx); err != nil {
		return err
	}
	survivors, err := s.survivors()
	if err != nil {
		return err
	}
	r.leaks = append(r.leaks, survivors...)
	r.posts, r.twice, err = s.repeated()
	return err
}

// watch takes samples of a process's memory, a thousand in the whole run at most.
func watch(ctx context.Context, pid int, length time.Duration) []sample {
	began := time.Now()
	again := time.NewTicker(max(length/1000, 100*time.Millisecond))
	defer again.Stop()
	var samples []sample
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return samples
		}
		if bytes, err := proc.RSS(pid); err == nil { // else it has ended, which others notice
			samples = append(samples, sample{time.Since(began), bytes})
		}
	}
}
