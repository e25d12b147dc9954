package service

import "context"

// Serve is what Run runs. It returns when ctx has ended and all is stopped in order, or on an error; nil is a wanted end.
type Serve func(ctx context.Context, n *Notify) error

// Notify is how a Serve tells the service manager how far it is, and learns what that wants. Its methods may be called from
// any goroutine, in any order, and do nothing where no manager has started the program.
type Notify struct {
	tell   func(state)
	failed func(err error) // a reload that changed nothing
	reload chan struct{}
}

// state is how far the program is, from the view of a service manager.
type state uint8

const (
	starting state = iota
	running
	reloading
	stopping
)

func newNotify(tell func(state), failed func(error)) *Notify {
	return &Notify{tell: tell, failed: failed, reload: make(chan struct{}, 1)}
}

// Ready says that all listeners are bound and requests are answered.
func (n *Notify) Ready() { n.tell(running) }

// Reloading says that a reload has begun, whoever wanted it; Reloaded must follow.
func (n *Notify) Reloading() { n.tell(reloading) }

// Reloaded says that a reload is over: requests are answered by the new configuration, or with an error by the old one.
func (n *Notify) Reloaded(err error) {
	if err != nil {
		n.failed(err)
	}
	n.tell(running)
}

// Stopping says that the program is about to end, whoever wanted it: it drains.
func (n *Notify) Stopping() { n.tell(stopping) }

// Reload delivers when the service manager wants the configuration to be read anew. It never does where a signal says so.
func (n *Notify) Reload() <-chan struct{} { return n.reload }
