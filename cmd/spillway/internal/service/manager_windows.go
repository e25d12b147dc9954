package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

func available() error { return nil }

// errAccess says what is missing; the service manager does not tell which right.
var errAccess = errors.New("access is denied; run this as administrator (\"Run as administrator\" of the terminal)")

// explain gives the errors that an operator meets a sentence that helps.
func explain(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return errAccess
	case errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST):
		return errors.New("not installed; spillway service install -c FILE installs it")
	case errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
		return errors.New("it is being removed, which ends when every window that shows services is closed (services.msc, Task Manager)")
	case errors.Is(err, windows.ERROR_SERVICE_LOGON_FAILED):
		return errors.New("its account cannot log on: the password is wrong, or the account lacks the right \"Log on as a service\" (secpol.msc)")
	case errors.Is(err, windows.ERROR_SERVICE_DISABLED):
		return errors.New("it is disabled; spillway service install -c FILE --start auto enables it")
	default:
		return err
	}
}

// open opens the service with these rights. The caller closes it.
func open(name string, rights uint32) (*mgr.Service, error) {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = windows.CloseServiceHandle(manager) }() // nothing was written
	text, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	handle, err := windows.OpenService(manager, text, rights)
	if err != nil {
		return nil, explain(err)
	}
	return &mgr.Service{Name: name, Handle: handle}, nil
}

func closeService(s *mgr.Service) { _ = s.Close() } // a handle of ours that is open: it has no reason to fail

// Start starts the service and returns when it serves: all listeners are bound, and each backend has a process or had its
// time to get one ready.
func Start(name string, out io.Writer) error {
	s, err := open(name, windows.SERVICE_START|windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return err
	}
	defer closeService(s)
	began := time.Now()
	if err := s.Start(); errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return say(out, "service %s runs already", name)
	} else if err != nil {
		return explain(err)
	}
	status, err := settle(s, svc.StartPending)
	if err != nil {
		return err
	}
	if status.State != svc.Running {
		return fmt.Errorf("not started: %s; the Event Log says why (Application, source %s)", exitText(status), name)
	}
	return say(out, "service %s serves, pid %d, after %s", name, status.ProcessId, since(began))
}

// Stop stops the service and returns when it has stopped: running requests may end.
func Stop(name string, out io.Writer) error {
	s, err := open(name, windows.SERVICE_STOP|windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return err
	}
	defer closeService(s)
	return stop(s, out)
}

func stop(s *mgr.Service, out io.Writer) error {
	began := time.Now()
	if _, err := s.Control(svc.Stop); errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return say(out, "service %s does not run", s.Name)
	} else if err != nil && !errors.Is(err, windows.ERROR_SERVICE_CANNOT_ACCEPT_CTRL) { // else it is about to stop already
		return explain(err)
	}
	status, err := settle(s, svc.StopPending, svc.Running, svc.StartPending)
	if err != nil {
		return err
	}
	if status.State != svc.Stopped {
		return fmt.Errorf("still %s after %s", stateText(status), since(began))
	}
	return say(out, "service %s has stopped after %s", s.Name, since(began))
}

// Reload has the service read its configuration anew, as `sc control NAME paramchange` does. It returns at once.
func Reload(name string, out io.Writer) error {
	s, err := open(name, windows.SERVICE_PAUSE_CONTINUE)
	if err != nil {
		return err
	}
	defer closeService(s)
	if _, err := s.Control(svc.ParamChange); errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return errors.New("it does not run")
	} else if err != nil {
		return explain(err)
	}
	return say(out, "service %s was asked to reload", name)
}

// settle waits until the service is in none of these states. It gives up when there was no sign of progress for a minute,
// which is four times what the service itself asks for.
func settle(s *mgr.Service, passing ...svc.State) (svc.Status, error) {
	const patience = 4 * grace
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hung := time.AfterFunc(patience, cancel)
	defer hung.Stop()
	looks := time.NewTicker(100 * time.Millisecond)
	defer looks.Stop()
	for last := uint32(0); ; {
		status, err := query(s)
		if err != nil {
			return status, explain(err)
		}
		if !slices.Contains(passing, status.State) {
			return status, nil
		}
		if status.CheckPoint != last {
			last = status.CheckPoint
			hung.Reset(patience)
		}
		select {
		case <-ctx.Done():
			return status, fmt.Errorf("%s, and no progress for %s", stateText(status), patience)
		case <-looks.C:
		}
	}
}

// query is the service's Query, with the checkpoint that it leaves out.
func query(s *mgr.Service) (svc.Status, error) {
	var raw windows.SERVICE_STATUS_PROCESS
	size, needed := uint32(unsafe.Sizeof(raw)), uint32(0)
	err := windows.QueryServiceStatusEx(s.Handle, windows.SC_STATUS_PROCESS_INFO, (*byte)(unsafe.Pointer(&raw)), size, &needed)
	return svc.Status{
		State: svc.State(raw.CurrentState), CheckPoint: raw.CheckPoint, ProcessId: raw.ProcessId,
		Win32ExitCode: raw.Win32ExitCode, ServiceSpecificExitCode: raw.ServiceSpecificExitCode,
	}, err
}

// Status prints how the service is. That it does not serve is the error.
func Status(name string, out io.Writer) error {
	s, err := open(name, windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG)
	if err != nil {
		return err
	}
	defer closeService(s)
	status, err := query(s)
	if err != nil {
		return explain(err)
	}
	set, err := settingsOf(s)
	if err != nil {
		return explain(err)
	}
	about := fmt.Sprintf("account: %s, start: %s, command: %s", set.account, set.start, set.command)
	if status.State != svc.Running {
		return fmt.Errorf("%s; %s", stateText(status), about)
	}
	return say(out, "service %s: %s; %s", name, stateText(status), about)
}

// settings are those of an installed service that an operator knows.
type settings struct{ account, start, command, display string }

// settingsOf reads them. mgr's Config wants settings that not every Windows has.
func settingsOf(s *mgr.Service) (settings, error) {
	const most = 8 << 10 // the most that QueryServiceConfig returns
	buffer := make([]byte, most)
	config := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buffer[0]))
	needed := uint32(0)
	if err := windows.QueryServiceConfig(s.Handle, config, most, &needed); err != nil {
		return settings{}, err
	}
	set := settings{
		account: windows.UTF16PtrToString(config.ServiceStartName), command: windows.UTF16PtrToString(config.BinaryPathName),
		display: windows.UTF16PtrToString(config.DisplayName),
	}
	switch config.StartType {
	case mgr.StartAutomatic:
		set.start = startAuto
		delayed := windows.SERVICE_DELAYED_AUTO_START_INFO{}
		err := windows.QueryServiceConfig2(s.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&delayed)),
			uint32(unsafe.Sizeof(delayed)), &needed)
		if err == nil && delayed.IsDelayedAutoStartUp != 0 {
			set.start = startDelayed
		}
	case mgr.StartDisabled:
		set.start = startDisabled
	default:
		set.start = startManual
	}
	return set, nil
}

// stateText is what an operator reads about a state.
func stateText(status svc.Status) string {
	switch status.State {
	case svc.Stopped:
		return "stopped, " + exitText(status)
	case svc.StartPending:
		return fmt.Sprintf("starting, pid %d", status.ProcessId)
	case svc.StopPending:
		return fmt.Sprintf("stopping, pid %d", status.ProcessId)
	case svc.Running:
		return fmt.Sprintf("running, pid %d", status.ProcessId)
	default:
		return fmt.Sprintf("in state %d, pid %d", status.State, status.ProcessId)
	}
}

// exitText says how a service has ended.
func exitText(status svc.Status) string {
	switch code := windows.Errno(status.Win32ExitCode); code {
	case windows.NO_ERROR:
		return "exit code 0"
	case windows.ERROR_SERVICE_NEVER_STARTED:
		return "never started since Windows has"
	case windows.ERROR_SERVICE_SPECIFIC_ERROR:
		return fmt.Sprintf("service-specific exit code %d", status.ServiceSpecificExitCode)
	default:
		return fmt.Sprintf("error %d: %s", uint32(code), strings.TrimSpace(code.Error()))
	}
}

func since(began time.Time) time.Duration { return time.Since(began).Round(10 * time.Millisecond) }

// say prints one line.
func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}
