//go:build unix

package service

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pulse is how often a start or a stop that goes on is reported, and grace how long the manager is asked to wait for the
// next report. Without them a start longer than TimeoutStartSec is a failure.
const (
	pulse = 5 * time.Second
	grace = 15 * time.Second
)

// Is reports false: on Unix signals say what a service manager wants, as they do in a terminal.
func Is() bool { return false }

// Run calls serve with a context that does not end, and tells systemd how far it is, if that has started the program and
// wants to know (Type=notify). config is not used.
func Run(_ string, serve Serve) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return serve(context.Background(), newNotify(func(state) {}, func(error) {}))
	}
	_ = os.Unsetenv("NOTIFY_SOCKET") // the processes are not to speak for us
	states, ended := make(chan state), make(chan struct{})
	reported := make(chan struct{})
	go func() { // ends with serve
		defer close(reported)
		report(socket, states, ended)
	}()
	n := newNotify(func(s state) {
		select {
		case states <- s:
		case <-ended:
		}
	}, func(error) {})
	err := serve(context.Background(), n)
	close(ended)
	<-reported
	return err
}

// report sends each state to the socket, and asks for patience while a start or a stop goes on.
func report(socket string, states <-chan state, ended <-chan struct{}) {
	ticks := time.NewTicker(pulse)
	defer ticks.Stop()
	now := starting
	for {
		select {
		case <-ended:
			return
		case next := <-states:
			if now == stopping { // a reload that was given up: there is no way back
				continue
			}
			now = next
			send(socket, message(now))
		case <-ticks.C:
			if now == starting || now == stopping {
				send(socket, patience)
			}
		}
	}
}

// patience asks the manager to wait on.
var patience = fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", grace.Microseconds())

// message is what systemd wants to read about a state: see sd_notify(3).
func message(s state) string {
	switch s {
	case running:
		return "READY=1\nSTATUS=serving"
	case reloading:
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // every Unix has this clock
		return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reloading the configuration", now.Nano()/1000)
	case stopping:
		return "STOPPING=1\nSTATUS=running requests may end\n" + patience
	default:
		return "STATUS=starting"
	}
}

// send writes one datagram. Nothing is done about an error: the manager that does not listen is the one to be told.
func send(socket, text string) {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"}) // a leading @ is an abstract name
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // all was written, or nobody reads it
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(text))
}
