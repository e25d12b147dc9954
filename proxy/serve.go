package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"spillway/proxy/routing"
)

// Options are the parts of a Front.
type Options struct {
	Routes    *routing.Table[*Route] // required: the servers and locations of one listener
	Log       *slog.Logger           // required: the error log
	Observers []func(*Exchange)      // called in Finish, in order: access log, metrics
	Incidents *Incidents             // gives ids to what fails; nil: nobody does
	HideWhy   bool                   // clients are not told these ids
}

// Front serves the exchanges of one listener by one configuration. It is immutable: a reload makes another.
type Front struct {
	routes    *routing.Table[*Route]
	log       *slog.Logger
	observers []func(*Exchange)
	incidents *Incidents // nil: none
	hideWhy   bool

	busy atomic.Int64 // exchanges between Serve or Refuse and the end of Finish
	heir atomic.Pointer[Front]
}

// New returns a Front.
func New(opts Options) (*Front, error) {
	if opts.Routes == nil || opts.Log == nil {
		return nil, errors.New("front: routes and log are required")
	}
	return &Front{
		routes: opts.Routes, log: opts.Log, observers: opts.Observers, incidents: opts.Incidents, hideWhy: opts.HideWhy,
	}, nil
}

// Busy returns how many exchanges the Front is serving: those from Serve to the end of Finish.
func (f *Front) Busy() int64 { return f.busy.Load() }

// waitStep is how often Wait looks: often enough for the end of a reload, and no work for the exchanges.
const waitStep = 20 * time.Millisecond

// HandOver lets another Front serve what comes from now on, also what a listener brings that asked for its Front just
// before: so after it, nothing begins under f once Wait has returned. nil: f serves by itself again.
func (f *Front) HandOver(to *Front) { f.heir.Store(to) }

// Wait returns when the Front serves no exchange. The error is that of ctx.
func (f *Front) Wait(ctx context.Context) error {
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	for f.Busy() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d requests are being served: %w", f.Busy(), ctx.Err())
		}
	}
	return nil
}

// begin makes f, or whom it has handed over to, the Front of ex. An exchange is counted before the heir is looked for:
// whoever hands over and then sees nobody is seen here.
func (f *Front) begin(ex *Exchange) *Front {
	if ex.front != nil {
		return ex.front
	}
	f.busy.Add(1)
	for heir := f.heir.Load(); heir != nil; heir = f.heir.Load() {
		heir.busy.Add(1)
		f.busy.Add(-1)
		f = heir
	}
	ex.front = f
	return f
}

// Serve routes ex, runs the handler and leaves a response in ex, whatever happens. The caller sends it and calls Finish.
func (f *Front) Serve(ex *Exchange) {
	f = f.begin(ex)
	if err := ex.Protect("handling the request", func() error { return f.serve(ex) }); err != nil {
		ex.OnGone(nil) // what the handler wanted to stop is over, even if it has panicked
		ex.SetError(err)
		return
	}
	ex.addFields()
}

// Welcomes says whether the body of the request would be read: there is a location for it, and its declared length is
// within the location's limit. If not, Serve answers at once; a client that waits for "100 Continue" is told so before it
// sends the body (RFC 9110, section 10.1.1).
func (f *Front) Welcomes(ex *Exchange) bool {
	route, ok := f.routes.Find(ex.Host, ex.Path)
	return ok && route.Handler != nil && !route.Internal && !route.tooLarge(ex.BodyLength)
}

// Refuse leaves the error page of err in ex, for a request that cannot be routed, such as a malformed one.
func (f *Front) Refuse(ex *Exchange, err error) {
	f.begin(ex)
	ex.SetError(err)
}

// serve runs the location of the request, and then those to which it leads.
func (f *Front) serve(ex *Exchange) error {
	route, ok := f.routes.Find(ex.Host, ex.Path)
	if !ok {
		return &StatusError{Code: http.StatusNotFound}
	}
	err := ex.enter(route)
	for err != nil {
		next, failure := f.goOn(ex, err)
		switch {
		case next != nil:
			err = ex.enter(next)
		case failure == nil:
			return nil
		case failure == err: //nolint:errorlint // the same value: there is nothing that could answer for it
			return err
		default:
			err = failure
		}
	}
	ex.arrive()
	return nil
}

// enter runs a location.
func (ex *Exchange) enter(route *Route) error {
	ex.Route = route
	if !ex.hop.rated {
		ex.LimitRate = route.LimitRate
	}
	ex.LimitAfter = route.LimitAfter
	if route.Internal && ex.hop.count == 0 {
		return &StatusError{Code: http.StatusNotFound}
	}
	if err := ex.prepare(); err != nil {
		return err
	}
	if route.Handler == nil {
		return &StatusError{Code: http.StatusNotFound}
	}
	return route.Handler.Serve(ex)
}
