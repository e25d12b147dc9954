package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"spillway/cmd/spillway/internal/app"
	"spillway/cmd/spillway/internal/control"
	"spillway/cmd/spillway/internal/service"
	"spillway/configs"
)

// instance is the spillway of this process, from its start to its end. Signals, commands and the service manager all come
// here; those that come during the start wait for it, but for those that end it.
type instance struct {
	file  fileName
	place control.Place
	began time.Time

	life   context.Context // ends when the end begins: a start or a reload that is going on is given up
	quit   context.CancelFunc
	hurry  chan struct{} // closed by stop
	hasten sync.Once

	started chan struct{} // closed when the start is over
	server  *app.App      // valid after started; nil when it failed
	notify  *service.Notify

	reloading chan struct{} // holds a value while a reload is going on: the next one waits for it
}

// errEnding is the answer to commands that the end has overtaken.
var errEnding = errors.New("it is ending")

func newInstance(file fileName) (*instance, error) {
	place, err := control.At(pathOf(file), "")
	if err != nil {
		return nil, err
	}
	i := &instance{
		file: file, place: place, began: time.Now(),
		hurry: make(chan struct{}), started: make(chan struct{}), reloading: make(chan struct{}, 1),
	}
	i.life, i.quit = context.WithCancel(context.Background())
	return i, nil
}

// pathOf returns the file that a configuration is known by. The demo is known by the file that would replace it.
func pathOf(file fileName) string { return cmp.Or(string(file), defaultFile) }

// run serves until the end, which may also be that of ctx.
func (i *instance) run(ctx context.Context, n *service.Notify) (err error) {
	i.notify = n
	defer i.quit()
	defer context.AfterFunc(ctx, i.quit)()
	if !service.Is() {
		defer i.obeySignals()()
	}
	config, err := load(i.file)
	if err != nil {
		return err
	}
	socket, err := i.listen(ctx, config)
	if err != nil {
		return err
	}
	ending := control.Ending{}
	if socket != nil {
		defer func() { err = errors.Join(err, socket.Close(ending)) }()
	}
	i.server, err = app.Start(i.life, app.Options{Config: config, Version: version(), Out: os.Stdout, Guard: guard})
	close(i.started)
	if errors.Is(err, context.Canceled) {
		return nil // the end came before all was started
	}
	if err != nil {
		return err
	}
	n.Ready()
	go i.obeyManager() // ends with life
	select {
	case <-i.life.Done():
	case err = <-i.server.Failed():
		i.quit()
	}
	n.Stopping()
	began := time.Now()
	stopErr := i.end()
	ending = control.Ending{Took: time.Since(began), Cut: i.server.Cut()}
	if stopErr != nil {
		ending.Lines = linesOf(stopErr)
	}
	return errors.Join(err, stopErr)
}

// listen makes this the only instance of its configuration, and begins to take commands; nil when that is off.
func (i *instance) listen(ctx context.Context, config *configs.Config) (*control.Server, error) {
	if config.Control == configs.ControlOff {
		return nil, nil //nolint:nilnil // none is wanted
	}
	place, err := control.At(i.place.Path, config.Control)
	if err != nil {
		return nil, err
	}
	socket, err := control.Listen(ctx, place, control.Identity{
		PID: os.Getpid(), Version: version(), Config: i.title(config), Since: i.began,
	})
	if running, ok := errors.AsType[*control.RunningError](err); ok {
		return nil, fmt.Errorf("%w already; see it with %s, end it with %s", running, commandFor(i.file, "status"), commandFor(i.file, "stop"))
	}
	if err != nil {
		return nil, err
	}
	socket.Serve(control.Handlers{
		Reload: i.reload, Reopen: i.reopen, Restart: i.restart, Quit: i.quit, Stop: i.stop, Status: i.status, Why: i.why,
	})
	return socket, nil
}

// title is what the configuration is called to people who may be in another folder.
func (i *instance) title(config *configs.Config) string {
	if config.File == pathOf(i.file) {
		return i.place.Path
	}
	return config.File + " for " + i.place.Path
}

// stop ends the exchanges, too. During a quit it is the end of patience.
func (i *instance) stop() {
	i.hasten.Do(func() { close(i.hurry) })
	i.quit()
}

// end ends the server: when its exchanges have ended, or at once when there is a hurry.
func (i *instance) end() error {
	drained := make(chan struct{})
	hastened := make(chan struct{})
	go func() { // ends with the drain
		defer close(hastened)
		select {
		case <-drained:
		case <-i.hurry:
			_ = i.server.Kill() // hurries Stop, which has the same error
		}
	}()
	err := i.server.Stop()
	close(drained)
	<-hastened
	return err
}

// await waits for the end of the start, and returns a context that ends with ctx and with the instance.
func (i *instance) await(ctx context.Context) (context.Context, context.CancelFunc, error) {
	select {
	case <-i.started:
	case <-i.life.Done():
		return nil, nil, errEnding
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if i.server == nil || i.life.Err() != nil {
		return nil, nil, errEnding
	}
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(i.life, cancel)
	return ctx, func() { detach(); cancel() }, nil
}

// reload reads the configuration again and serves it. On an error all is as before.
func (i *instance) reload(ctx context.Context) error {
	ctx, release, err := i.await(ctx)
	if err != nil {
		return err
	}
	defer release()
	select {
	case i.reloading <- struct{}{}:
		defer func() { <-i.reloading }()
	case <-ctx.Done():
		return errEnding
	}
	i.notify.Reloading()
	err = i.replace(ctx)
	i.notify.Reloaded(err)
	if err == nil {
		return nil
	}
	return &control.LinesError{Lines: linesOf(err)}
}

// replace reads the configuration and serves it. An error is in the error log.
func (i *instance) replace(ctx context.Context) error {
	config, err := load(i.file)
	if err != nil {
		i.server.Refused(pathOf(i.file), linesOf(err))
		return err
	}
	return i.server.Reload(ctx, config)
}

// reopen opens the log files anew.
func (i *instance) reopen(ctx context.Context) error {
	_, release, err := i.await(ctx)
	if err != nil {
		return err
	}
	defer release()
	return i.server.Reopen()
}

// restart replaces the processes of an upstream, or of all when it is empty.
func (i *instance) restart(ctx context.Context, upstream string) error {
	ctx, release, err := i.await(ctx)
	if err != nil {
		return err
	}
	defer release()
	return i.server.Restart(ctx, upstream)
}

// statusReport is the answer to status: what /status says, and how far it is.
type statusReport struct {
	app.Status

	Phase string `json:"phase"` // starting, serving or ending
}

// status returns the present state; during the start little is known.
func (i *instance) status() any {
	report := statusReport{Phase: "starting"}
	report.Version, report.PID, report.Config, report.Started = version(), os.Getpid(), i.place.Path, i.began
	select {
	case <-i.started:
		if i.server != nil {
			report.Phase, report.Status = "serving", i.server.Status()
		}
	default:
	}
	if i.life.Err() != nil {
		report.Phase = "ending"
	}
	return report
}

// why returns what is known of a request in which something has failed, or without an id the list of them.
func (i *instance) why(id string) (any, error) {
	_, release, err := i.await(i.life)
	if err != nil {
		return nil, err
	}
	defer release()
	if id == "" {
		return i.server.Failures(), nil
	}
	return i.server.Why(id)
}

// obeyManager reloads when the service manager wants it.
func (i *instance) obeyManager() {
	for {
		select {
		case <-i.notify.Reload():
			_ = i.reload(i.life) // told already
		case <-i.life.Done():
			return
		}
	}
}
