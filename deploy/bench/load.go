package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// A load is what the clients saw in one round.
type load struct {
	Requests int
	Length   time.Duration
	P50, P99 time.Duration
}

// runLoad loads the proxy at addr from a process of its own: this program with other arguments.
func runLoad(ctx context.Context, addr string, length time.Duration, conns int) (load, error) {
	self, err := os.Executable()
	if err != nil {
		return load{}, err
	}
	cmd := exec.CommandContext(ctx, self, "load", "-addr", addr, "-length", length.String(), "-conns", strconv.Itoa(conns))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return load{}, err
	}
	var l load
	err = json.Unmarshal(out, &l)
	return l, err
}

// loadCommand is the other side of runLoad.
func loadCommand(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the proxy")
	length := flags.Duration("length", time.Second, "how long")
	conns := flags.Int("conns", 64, "connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := closedLoop(ctx, *addr, *length, *conns)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(l)
}

// closedLoop sends requests over a number of connections, on each the next one as soon as the answer is there.
// The first answer that is not a 200 ends it.
func closedLoop(ctx context.Context, addr string, length time.Duration, conns int) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	type end struct {
		took []time.Duration
		err  error
	}
	ends := make(chan end)
	started := time.Now()
	for range conns {
		go func() { // ends with ctx
			took, err := client(ctx, addr)
			ends <- end{took, err}
		}()
	}

	var all []time.Duration
	var errs error
	for range conns {
		e := <-ends
		if e.err != nil {
			errs = e.err
			cancel()
		}
		all = append(all, e.took...)
	}
	if errs != nil {
		return load{}, errs
	}
	l := load{Requests: len(all), Length: time.Since(started)}
	if len(all) == 0 {
		return load{}, errors.New("no answer in time")
	}
	slices.Sort(all)
	l.P50, l.P99 = all[len(all)/2], all[len(all)*99/100]
	return l, nil
}

// client is one connection of the closed loop. It returns how long each answer took.
func client(ctx context.Context, addr string) ([]time.Duration, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A bound for an answer that never comes: then the proxy has failed.
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}

	request := []byte("GET /bench HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	in := bufio.NewReaderSize(conn, 8<<10)
	var took []time.Duration
	for ctx.Err() == nil {
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := readAnswer(in); err != nil {
			return nil, err
		}
		took = append(took, time.Since(sent))
	}
	return took, nil
}

// readAnswer reads one answer, which must be a 200 with the peers' body and its length in the head.
func readAnswer(in *bufio.Reader) error {
	length := -1
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case n == 0 && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("answer begins with %q", line)
		case len(line) == 0:
			if length != bodySize {
				return fmt.Errorf("content length is %d, want %d", length, bodySize)
			}
			_, err := in.Discard(length)
			return err
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
}
