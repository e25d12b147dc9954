package service

import (
	"cmp"
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

	startDisabled = "disabled" // somebody has done that by other means
)

// localSystem is the account that may do everything.
const localSystem = "LocalSystem"

// authority is before the names of the accounts that are Windows' own.
const authority = `NT AUTHORITY\`

// recovery is what Windows does when the service has failed once, twice, and ever after within recoveryReset. A
// configuration that is mended, or a port that is free again, brings it back within a minute.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: time.Second},
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const recoveryReset = 24 * time.Hour

// Install installs the service, or changes the one of this name: what is empty in o stays as it is, and a service that runs
// goes on as it was until it is started anew. With o.Keep one that is there is left alone. o is completed on the way. It
// reports whether anything was done; after an error there is no service that was not there before.
func Install(o *Options, out io.Writer) (done bool, err error) {
	manager, err := mgr.Connect()
	if err != nil {
		return false, explain(err)
	}
	defer func() { _ = manager.Disconnect() }() // a handle of ours that is open: it has no reason to fail
	s, err := manager.OpenService(o.Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return true, o.create(manager, out)
	} else if err != nil {
		return false, explain(err)
	}
	defer closeService(s)
	if o.Keep {
		return false, say(out, "service %s is there and stays as it is", o.Name)
	}
	return true, o.change(s, out)
}

func (o *Options) create(manager *mgr.Mgr, out io.Writer) error {
	config, err := o.manager(settings{})
	if err != nil {
		return err
	}
	s, err := manager.CreateService(o.Name, "spillway", mgr.Config{}) // configure does the rest
	if err != nil {
		return explain(err)
	}
	defer closeService(s)
	if err := o.configure(s, config, out); err != nil {
		_ = s.Delete() // the first error is the one to tell
		return explain(err)
	}
	return o.told(out, "installed", config)
}

func (o *Options) change(s *mgr.Service, out io.Writer) error {
	set, err := settingsOf(s)
	if err != nil {
		return explain(err)
	}
	config, err := o.manager(set)
	if err != nil {
		return err
	}
	if err := o.configure(s, config, out); err != nil {
		return explain(err)
	}
	return o.told(out, "changed", config)
}

func (o *Options) told(out io.Writer, what string, config mgr.Config) error {
	return say(out, "service %s %s; account: %s, start: %s, command: %s", o.Name, what, o.Account, o.Start, config.BinaryPathName)
}

// manager checks the options, completes them from what is set already, and returns them as the service manager wants them.
func (o *Options) manager(set settings) (mgr.Config, error) {
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
	sameAccount := o.Account == "" && set.account != "" // it is not set again: its password is not known here
	o.DisplayName, o.Start, o.Account = cmp.Or(o.DisplayName, set.display), cmp.Or(o.Start, set.start), cmp.Or(o.Account, set.account)
	o.fill()
	if o.Password == "" && !sameAccount && hasPassword(o.Account) {
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
	if sameAccount {
		config.ServiceStartName = ""
	}
	switch o.Start {
	case startDisabled:
		config.StartType = mgr.StartDisabled
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
		o.Account = authority + "NetworkService"
	case "localservice", `nt authority\localservice`:
		o.Account = authority + "LocalService"
	}
}

// hasPassword reports whether somebody knows a password of this account: nobody does of those of Windows, and of a group
// managed service account (DOMAIN\NAME$).
func hasPassword(account string) bool {
	upper := strings.ToUpper(account)
	return account != localSystem && !strings.HasPrefix(upper, `NT SERVICE\`) && !strings.HasPrefix(upper, authority) &&
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
	account := config.ServiceStartName
	config.ServiceStartName, config.Password = "", "" // unchanged: see setAccount
	if err := s.UpdateConfig(config); err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return err
	}
	if err := setAccount(s, account, o.Password); err != nil {
		return fmt.Errorf("account %s: %w", account, err)
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
	if err := o.grant(); err != nil {
		return err
	}
	return registerSource(o.Name)
}

// grant sets the permissions of folders. The account of its own exists since the service does.
func (o *Options) grant() error {
	if o.Private {
		if err := closeFolder(filepath.Dir(o.Config)); err != nil {
			return err
		}
	}
	for _, folder := range o.Grant {
		if err := grant(o.Account, folder); err != nil {
			return err
		}
	}
	if len(o.Grant) == 0 {
		return nil
	}
	return grantReading(o.Account, filepath.Dir(o.Config)) // the service works there; certificates and the like are beside it
}

// setAccount sets who runs the service, unless it is empty. For accounts whose password nobody knows, one of Windows' own wants
// an empty password and the others none: https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-changeserviceconfigw
func setAccount(s *mgr.Service, account, password string) error {
	if account == "" {
		return nil
	}
	name, err := windows.UTF16PtrFromString(account)
	if err != nil {
		return err
	}
	secret, err := windows.UTF16PtrFromString(password)
	if err != nil {
		return err
	}
	if !hasPassword(account) && account != localSystem && !strings.HasPrefix(account, authority) {
		secret = nil
	}
	const same = windows.SERVICE_NO_CHANGE
	return windows.ChangeServiceConfig(s.Handle, same, same, same, nil, nil, nil, nil, name, secret, nil)
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
