package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"

	"spillway/upstream/supervisor"
)

// pulse is how often a start or a stop that goes on is reported, and grace how long the manager is asked to wait for the
// next report. The manager's own patience for a start without reports is 30 s.
const (
	pulse = 2 * time.Second
	grace = 15 * time.Second
)

// The exit codes that the service gives as its own; 0 is a wanted end.
const (
	exitNotStarted = 1
	exitFailed     = 2 // it had served
)

// Is reports whether the service manager has started this program. svc.IsWindowsService wants the manager in session 0 as
// well, where Wine has not got it; a program of the same name that is not the manager gets an error from Run.
func Is() bool {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return false
	}
	defer func() { _ = windows.CloseHandle(snapshot) }() // nothing was written
	parent := uint32(os.Getppid())
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if entry.ProcessID == parent {
			return strings.EqualFold(windows.UTF16ToString(entry.ExeFile[:]), "services.exe")
		}
	}
	return false
}

// Run calls serve. Started by the service manager it answers that meanwhile, and an error is in the Event Log with what to
// do about it. config is the file's absolute path then. The error is that of serve.
func Run(config string, serve Serve) error {
	if !Is() {
		return serve(context.Background(), newNotify(func(state) {}, func(error) {}))
	}
	s := &session{config: config, serve: serve, prepare: prepare, open: openEvents}
	if err := svc.Run("", s); err != nil { // the name counts only where several services share a process
		return fmt.Errorf("service manager: %w", err)
	}
	return s.err
}

// prepare makes up for what a service has not got: the folder it works in is Windows' own, and there is no console. The
// first error ends the start, the second costs no more than politeness.
func prepare(config string) (failure, warning error) {
	if err := os.Chdir(filepath.Dir(config)); err != nil {
		return err, nil
	}
	return nil, supervisor.HiddenConsole()
}

// session is one life of the service.
type session struct {
	config  string
	serve   Serve
	prepare func(config string) (failure, warning error)
	open    func(source string) events
	err     error // of serve; set when Execute returns
}

// Execute runs the service. It is called by the service manager's dispatcher, once; the first argument is the service's name.
func (s *session) Execute(args []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	began := time.Now()
	now := svc.Status{State: svc.StartPending, Accepts: svc.AcceptStop, WaitHint: uint32(grace.Milliseconds())}
	status <- now
	log := s.open(args[0])
	defer log.close()

	ctx, quit := context.WithCancel(context.Background())
	defer quit()
	told, ended := make(chan state), make(chan error, 1)
	n := newNotify(func(next state) {
		select {
		case told <- next:
		case <-ctx.Done(): // the service is being stopped, or is over
		}
	}, func(err error) { log.warn(eventNotReloaded, notReloaded(s.config, err)) })
	go func() { ended <- s.run(ctx, n, log) }() // ends with serve, and Execute waits for it

	ticks := time.NewTicker(pulse)
	defer ticks.Stop()
	served := false
	for {
		select {
		case s.err = <-ended:
			return s.leave(log, served, ctx.Err() != nil, began)
		case next := <-told:
			if enter(&now, next) {
				status <- now
			}
			if now.State == svc.Running && !served {
				served = true
				log.info(eventStarted, startedText(s.config, time.Since(began)))
			}
		case request := <-requests:
			switch request.Cmd {
			case svc.Stop, svc.PreShutdown, svc.Shutdown:
				began = time.Now()
				enter(&now, stopping)
				quit()
			case svc.ParamChange:
				n.askReload()
			default: // Interrogate wants the status and nothing else
			}
			status <- now
		case <-ticks.C:
			if now.State != svc.Running {
				now.CheckPoint++ // else the manager takes us for hung
				status <- now
			}
		}
	}
}

// askReload has Reload deliver once more; a wish that nobody has taken yet stands for later ones.
func (n *Notify) askReload() {
	select {
	case n.reload <- struct{}{}:
	default:
	}
}

func (s *session) run(ctx context.Context, n *Notify, log events) error {
	failure, warning := s.prepare(s.config)
	if failure != nil {
		return failure
	}
	if warning != nil {
		log.warn(eventNoConsole, noConsole(warning))
	}
	return s.serve(ctx, n)
}

// enter changes the status that the service manager is shown, and reports whether it did. There is no way back.
func enter(now *svc.Status, next state) bool {
	switch {
	case next == running && now.State == svc.StartPending:
		*now = svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptPreShutdown | svc.AcceptParamChange}
	case next == stopping && now.State != svc.StopPending:
		*now = svc.Status{State: svc.StopPending, CheckPoint: 1, WaitHint: uint32(grace.Milliseconds())}
	default:
		return false
	}
	return true
}

// leave notes the end, and returns the service's exit code. With one that is not 0 the service manager restarts the service,
// which nobody wants who has stopped it.
func (s *session) leave(log events, served, wanted bool, since time.Time) (specific bool, code uint32) {
	switch {
	case s.err == nil && wanted:
		log.info(eventStopped, stoppedText(time.Since(since)))
	case s.err == nil:
		log.info(eventStopped, endedText)
	case served || wanted:
		log.error(eventFailed, failedText(s.config, s.err))
		code = exitFailed
	default:
		log.error(eventNotStarted, notStarted(s.config, s.err))
		code = exitNotStarted
	}
	if wanted {
		code = 0
	}
	return true, code
}
