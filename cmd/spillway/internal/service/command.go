package service

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spillway/configs"
)

// Command is `spillway service` on the command line. It wants a Source to be bound.
type Command struct {
	Install   installCommand   `cmd:"" help:"Install the Windows service, or change what is named of the one that is there."`
	Uninstall uninstallCommand `cmd:"" help:"Stop the service and remove it."`
	Start     startCommand     `cmd:"" help:"Start the service and wait until it serves."`
	Stop      stopCommand      `cmd:"" help:"Stop the service: running requests may end."`
	Reload    reloadCommand    `cmd:"" help:"Have the service read its configuration anew; what came of it is in its error log."`
	Status    statusCommand    `cmd:"" help:"Say how the service is; exit 1 if it does not serve."`
}

// Source is where the configuration comes from.
type Source struct {
	File string                                     // the value of -c; empty for the usual file of the current folder
	Load func(file string) (*configs.Config, error) // reads and checks it
}

// Options say what to install. What is empty has its default, or is left as it is in a service that is there.
type Options struct {
	Name         string   // of the service, see Name; required
	DisplayName  string   // in lists of services; default: the name
	Description  string   // default: what spillway does, and the configuration
	Config       string   // absolute; required
	Account      string   // default: NT SERVICE\NAME, an account that Windows makes up for this service alone
	Password     string   // of the account, where it has one
	Dependencies []string // names of services to be started before
	Start        string   // auto, delayed or manual; default: auto

	Keep    bool     // leave a service that is there as it is
	Private bool     // take the folder of the configuration from all but administrators, Windows and who is granted it
	Grant   []string // folders that the account may write to; if there is one, it may read that of the configuration too

	// PreShutdown is how long Windows waits for the service when it shuts down itself.
	PreShutdown time.Duration
}

// baseName is the service of an installation that has one.
const baseName = "spillway"

// Name returns the name of the service that is called so on the command line: with several configurations on one machine
// each is a service of its own, spillway-shop for shop.
func Name(called string) string {
	if called == "" || called == baseName || strings.HasPrefix(called, baseName+"-") {
		return cmp.Or(called, baseName)
	}
	return baseName + "-" + called
}

// named is in every command.
type named struct {
	Name string `placeholder:"NAME" help:"Service spillway-NAME; without it spillway."`
}

func (n named) service() string { return Name(n.Name) }

type installCommand struct {
	named
	DisplayName string   `placeholder:"TEXT" help:"What lists of services show."`
	Account     string   `placeholder:"ACCOUNT" help:"Who runs it: LocalSystem, NetworkService, DOMAIN\\user, DOMAIN\\gmsa$; default: NT SERVICE\\spillway, an account of its own."`
	Start       string   `enum:"auto,delayed,manual," default:"" placeholder:"WHEN" help:"When Windows starts it: auto, delayed or manual; default: auto."`
	Grant       bool     `help:"Make the folders of logs and temporary files, and let the account write there and read the folder of the configuration."`
	Private     bool     `help:"Let only administrators and Windows, and with --grant the account, use the folder of the configuration."`
	Keep        bool     `help:"Leave a service that is there as it is."`
	Depends     []string `placeholder:"SERVICE" help:"Services that are started before, as MSSQLSERVER."`
}

// passwordVariable holds the password of an account that has one, for scripts; people are asked.
const passwordVariable = "SPILLWAY_SERVICE_PASSWORD"

// Help is shown below the usage.
func (*installCommand) Help() string {
	return "The password of an account that has one is asked for, or taken from the variable " + passwordVariable + "."
}

// Run installs the service. It is not started.
func (c *installCommand) Run(source Source) error {
	if err := available(); err != nil {
		return err
	}
	config, err := source.read()
	if err != nil {
		return err
	}
	o := Options{
		Name: c.service(), DisplayName: c.DisplayName, Config: config.File, Account: c.Account, Dependencies: c.Depends,
		Start: c.Start, Keep: c.Keep, Private: c.Private, PreShutdown: patienceFor(config),
	}
	if c.Grant {
		o.Grant = folders(config)
	}
	done, err := Install(&o, os.Stdout)
	if err != nil {
		return fmt.Errorf("service %s: %w", o.Name, err)
	}
	if !done {
		return nil
	}
	return c.advise(config, o.Account, os.Stdout)
}

type uninstallCommand struct{ named }

// Run stops and removes the service.
func (c *uninstallCommand) Run() error { return c.on(Uninstall) }

type startCommand struct{ named }

// Run starts the service.
func (c *startCommand) Run() error { return c.on(Start) }

type stopCommand struct{ named }

// Run stops the service.
func (c *stopCommand) Run() error { return c.on(Stop) }

type reloadCommand struct{ named }

// Run asks the service to reload.
func (c *reloadCommand) Run() error { return c.on(Reload) }

type statusCommand struct{ named }

// Run prints the state of the service.
func (c *statusCommand) Run() error { return c.on(Status) }

// on does something with the service; what is worth telling is printed.
func (n named) on(do func(name string, out io.Writer) error) error {
	if err := available(); err != nil {
		return err
	}
	if err := do(n.service(), os.Stdout); err != nil {
		return fmt.Errorf("service %s: %w", n.service(), err)
	}
	return nil
}

// defaultFile is the configuration without -c, as everywhere on the command line.
const defaultFile = "spillway.yaml"

// read reads the configuration by its absolute path: a service has a folder of its own. A service of one that is wrong would
// not start.
func (s Source) read() (*configs.Config, error) {
	path, err := filepath.Abs(cmp.Or(s.File, defaultFile))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("configuration: %w; name the file with -c", err)
	}
	return s.Load(path)
}

// margin is for what is done beside waiting: files, sockets, a slow disk while the machine shuts down.
const margin = 15 * time.Second

// patienceFor is the longest time that a stop in order takes.
func patienceFor(config *configs.Config) time.Duration {
	stop := time.Duration(0)
	for _, u := range config.Upstreams {
		if u.Backend != nil {
			stop = max(stop, time.Duration(u.Backend.StopTimeout))
		}
	}
	return time.Duration(config.ShutdownTimeout) + stop + margin
}

// advise prints what the operator has to see to before the service is started.
func (c *installCommand) advise(config *configs.Config, account string, out io.Writer) error {
	var advice []string
	if config.ErrorLog.Path == configs.Stderr {
		advice = append(advice, "error_log goes to stderr, which a service has not got: give it a path")
	}
	if !c.Grant && account != localSystem {
		advice = append(advice, fmt.Sprintf("%s must be able to write to %s; --grant sees to it", account,
			strings.Join(folders(config), ", ")))
	}
	for _, line := range advice {
		if _, err := fmt.Fprintln(out, "note:", line); err != nil {
			return err
		}
	}
	return nil
}

// folders are where a service of this configuration writes.
func folders(config *configs.Config) []string {
	paths := []string{config.TempPath, folderOf(config.ErrorLog.Path), folderOf(config.AccessLog.Path)}
	for _, u := range config.Upstreams {
		if u.Backend != nil {
			paths = append(paths, folderOf(u.Backend.Output.Path))
		}
	}
	var all []string
	for _, path := range paths {
		if path != "" && !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	return all
}

func folderOf(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return filepath.Dir(path)
}
