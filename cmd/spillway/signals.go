package main

import (
	"context"
	"os"
	"os/signal"
	"time"
)

// order is what a signal means.
type order uint8

const (
	orderReload order = iota
	orderReopen
	orderQuit
	orderStop
	orderInterrupt // quit; the second one ends the program at once
	orderLeave     // quit, but the system does not wait for long
)

// leavePatience is what running requests get when Windows closes the console or ends the session: it ends us after 5 s, and
// the processes are to be asked before that.
const leavePatience = 3 * time.Second

// obeySignals does what the signals of this process say, until the returned function is called.
func (i *instance) obeySignals() (done func()) {
	come := make(chan os.Signal, 16) // more would be the same ones over and over
	for s := range orders {
		signal.Notify(come, s)
	}
	reloads, reopens := i.repeat(i.reload), i.repeat(i.reopen)
	go func() { // ends with done
		defer close(reloads)
		defer close(reopens)
		seen := map[order]bool{}
		for s := range come {
			o := orders[s]
			switch {
			case o == orderReload:
				want(reloads)
			case o == orderReopen:
				want(reopens)
			case seen[o] && (o == orderInterrupt || o == orderStop):
				endBy(s)
			default:
				i.obey(o, s)
			}
			seen[o] = true
		}
	}()
	return func() {
		signal.Stop(come)
		close(come)
	}
}

// obey begins the end.
func (i *instance) obey(o order, s os.Signal) {
	switch o {
	case orderStop:
		signal.Reset(s) // the next one ends the program, and the processes with it: see supervisor.Guard
		i.stop()
	case orderInterrupt:
		signal.Reset(s)
		i.quit()
	case orderLeave:
		i.quit()
		time.AfterFunc(leavePatience, i.stop)
	default:
		i.quit()
	}
}

// repeat returns a channel; do is called for each value in it. Errors are told in the error log.
func (i *instance) repeat(do func(context.Context) error) chan struct{} {
	asked := make(chan struct{}, 1)
	go func() { // ends with the channel
		for range asked {
			_ = do(i.life)
		}
	}()
	return asked
}

// want puts a value into the channel, unless there is one: what has not begun yet will do for both.
func want(asked chan<- struct{}) {
	select {
	case asked <- struct{}{}:
	default:
	}
}
