package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

// The values of Options.Start.
const (
	startAuto    = "auto"
	startDelayed = "delayed"
	startManual  = "manual"
)

// localSystem is the account that may do everything.
const localSystem = "LocalSystem"

// recovery is what Windows does when the service has failed once, twice, and ever after within recoveryReset. A
// configuration that is mended, or a port that is free again, brings it back within a minute.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: time.Second},
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const recoveryReset = 24 * time.Hour

// Install installs the service, or changes the one of this name: a service that runs goes on as it was until it is started
// anew. The defaults are filled into o.
func Install(o *Options, out io.Writer) error {
	config, err := o.manager()
	if err != nil {
		return err
	}
	manager, err := mgr.Connect()
	if err != nil {
		return explain(err)
	}
	defer func() { _ = manager.Disconnect() }() // a handle of ours that is open: it has no reason to fail
	done := "changed"
	s, err := manager.OpenService(o.Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		done = "installed"
		s, err = manager.CreateService(o.Name, "spillway", mgr.Config{}) // configure does the rest
	}
	if err != nil {
		return explain(err)
	}
	defer closeService(s)
	if err := o.configure(s, config, out); err != nil {
		if done == "installed" {
			_ = s.Delete() // the first error is the one to tell
		}
		return explain(err)
	}
	return say(out, "service %s %s; account: %s, start: %s, command: %s", o.Name, done, o.Account, o.Start, config.BinaryPathName)
}

// manager checks the options and returns them as the service manager wants them.
func (o *Options) manager() (mgr.Config, error) {
	exe, err := os.Executable()
	if err != nil {
		return mgr.Config{}, err
	}
	if err := checkPath(exe); err != nil {
		return mgr.Config{}, err
	}
	if err := checkPath(o.Config); err != nil {
		return mgr.Config{}, err
	}
	o.fill()
	if o.Password == "" && hasPassword(o.Account) {
		if o.Password, err = askPassword(o.Account); err != nil {
			return mgr.Config{}, err
		}
	}
	config := mgr.Config{
		ServiceType: windows.SERVICE_WIN32_OWN_PROCESS, StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
		// Quoted always: of C:\Program Files\x.exe Windows else tries C:\Program.exe first.
		BinaryPathName: quote(exe) + " run -c " + quote(o.Config),
		DisplayName:    o.DisplayName, Description: o.Description,
		ServiceStartName: o.Account, Password: o.Password, Dependencies: o.Dependencies,
		SidType: windows.SERVICE_SID_TYPE_UNRESTRICTED, // files can be granted to NT SERVICE\NAME, whatever the account
	}
	switch o.Start {
	case startManual:
		config.StartType = mgr.StartManual
	case startDelayed:
		config.DelayedAutoStart = true
	}
	return config, nil
}

// fill fills in the defaults.
func (o *Options) fill() {
	if o.DisplayName == "" {
		o.DisplayName = o.Name
	}
	if o.Description == "" {
		o.Description = "Front end that starts application processes and keeps them alive. Configuration: " + o.Config
	}
	if o.Start == "" {
		o.Start = startAuto
	}
	switch strings.ToLower(o.Account) {
	case "":
		o.Account = `NT SERVICE\` + o.Name
	case "localsystem", "system", `nt authority\system`:
		o.Account = localSystem
	case "networkservice", `nt authority\networkservice`:
		o.Account = `NT AUTHORITY\NetworkService`
	case "localservice", `nt authority\localservice`:
		o.Account = `NT AUTHORITY\LocalService`
	}
}

// hasPassword reports whether somebody knows a password of this account: nobody does of those of Windows, and of a group
// managed service account (DOMAIN\NAME$).
func hasPassword(account string) bool {
	upper := strings.ToUpper(account)
	return account != localSystem && !strings.HasPrefix(upper, `NT SERVICE\`) && !strings.HasPrefix(upper, `NT AUTHORITY\`) &&
		!strings.HasSuffix(account, "$")
}

// checkPath refuses paths that a service cannot use.
func checkPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: want a path with a drive or a server", path)
	}
	if strings.Count(path, "%") > 1 {
		return fmt.Errorf("%s: Windows replaces what stands between percent signs in a service's command; rename the folder", path)
	}
	volume, err := windows.UTF16PtrFromString(filepath.VolumeName(path) + `\`)
	if err != nil {
		return err
	}
	if len(filepath.VolumeName(path)) == len("C:") && windows.GetDriveType(volume) == windows.DRIVE_REMOTE {
		return fmt.Errorf("%s: the drive belongs to your log-on, a service has not got it; copy the files to a local disk", path)
	}
	return nil
}

// configure gives the service all that it has. What this Windows does not know is told and left out.
func (o *Options) configure(s *mgr.Service, config mgr.Config, out io.Writer) error {
	if err := s.UpdateConfig(config); err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return err
	}
	for _, setting := range []struct {
		name string
		set  func() error
	}{
		// UpdateConfig ends at the first of these three that Windows does not know.
		{"service SID", func() error { return set(s, windows.SERVICE_CONFIG_SERVICE_SID_INFO, &config.SidType) }},
		{"delayed start", func() error {
			delayed := windows.SERVICE_DELAYED_AUTO_START_INFO{}
			if config.DelayedAutoStart {
				delayed.IsDelayedAutoStartUp = 1
			}
			return set(s, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed)
		}},
		{"description", func() error {
			text, err := windows.UTF16PtrFromString(config.Description)
			if err != nil {
				return err
			}
			return set(s, windows.SERVICE_CONFIG_DESCRIPTION, &windows.SERVICE_DESCRIPTION{Description: text})
		}},
		{"recovery actions", func() error { return s.SetRecoveryActions(recovery, uint32(recoveryReset/time.Second)) }},
		// A start that failed, or a listener that was lost, is no crash: the exit code says so.
		{"recovery without a crash", func() error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
		// How long Windows waits for the service before it shuts down; its own default is 10 s.
		{"preshutdown timeout", func() error {
			patience := uint32(o.PreShutdown.Milliseconds()) // SERVICE_PRESHUTDOWN_INFO of winsvc.h has nothing else
			return set(s, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, &patience)
		}},
	} {
		switch err := setting.set(); {
		case errors.Is(err, windows.ERROR_INVALID_LEVEL):
			if err := say(out, "note: this Windows has no %s for services", setting.name); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("%s: %w", setting.name, err)
		}
	}
	return registerSource(o.Name)
}

// set changes one optional setting of a service; info is the structure that belongs to the level.
func set[T any](s *mgr.Service, level uint32, info *T) error {
	return windows.ChangeServiceConfig2(s.Handle, level, (*byte)(unsafe.Pointer(info)))
}

// Uninstall stops the service and removes it, with all that Install has done. That it runs no more is no error.
func Uninstall(name string, out io.Writer) error {
	s, err := open(name, windows.SERVICE_STOP|windows.SERVICE_QUERY_STATUS|windows.DELETE)
	if err != nil {
		return err
	}
	defer closeService(s)
	if err := stop(s, out); err != nil {
		return err
	}
	if err := s.Delete(); err != nil {
		return explain(err)
	}
	if err := removeSource(name); err != nil {
		return err
	}
	return say(out, "service %s removed; configuration and logs are left", name)
}

// quote is a path as Windows' command lines want it: a path has no quotation mark, and a backslash means itself.
func quote(path string) string { return `"` + path + `"` }
