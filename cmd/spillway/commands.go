package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"

	"spillway/cmd/spillway/internal/app"
	"spillway/cmd/spillway/internal/demo"
	"spillway/configs"
	"spillway/upstream/supervisor"
)

// defaultFile is the configuration that is read without -c, from the current folder.
const defaultFile = "spillway.yaml"

// load reads the configuration and compares it with this machine. All problems of the file are in the error.
func load(named fileName) (config *configs.Config, err error) {
	file := string(named)
	if file == "" {
		file = defaultFile
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return demoConfig()
		}
	}
	config, err = configs.Load(file)
	problems, isProblems := errors.AsType[configs.Problems](err)
	if err != nil && !isProblems || config == nil {
		return nil, err
	}
	if problems = app.Check(config, problems); len(problems) > 0 {
		return nil, problems
	}
	return config, nil
}

// demoConfig is the configuration of the built-in demo.
func demoConfig() (*configs.Config, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return configs.Parse(demo.Name, demo.Config(exe))
}

// runCommand serves until a signal.
type runCommand struct{}

// Run starts everything and stops it in order at the first signal; a second one ends the program at once, and the
// processes with it: see supervisor.Guard.
func (runCommand) Run(line *commandLine) error {
	config, err := load(line.Config)
	if err != nil {
		return err
	}
	// On Windows os.Interrupt is Ctrl+C and Ctrl+Break; SIGTERM is the end of the console, of the session or of Windows.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal has its default effect: it ends the program at once
	server, err := app.Start(ctx, app.Options{Config: config, Version: version(), Out: os.Stdout, Guard: guard})
	if errors.Is(err, context.Canceled) {
		return nil // a signal came before all was started
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-server.Failed():
	}
	stop() // AfterFunc may not have come to it yet
	return errors.Join(err, server.Stop())
}

// checkCommand looks for problems and starts nothing.
type checkCommand struct{}

// Run prints that the configuration is right; problems are its error.
func (checkCommand) Run(line *commandLine) error {
	config, err := load(line.Config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s: the configuration is right (servers: %d, upstreams: %d)\n",
		config.File, len(config.Servers), len(config.Upstreams))
	return err
}

// versionCommand prints the version.
type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	_, err := fmt.Fprintln(os.Stdout, "spillway", version())
	return err
}

// release is the version that the next release will have; the changelog says what is in it.
const release = "0.1.0-dev"

// version is the release and, in a build from a checkout, the commit.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" && len(setting.Value) > 12 {
				return release + "+" + setting.Value[:12]
			}
		}
	}
	return release
}

// demoCommand is one process of the built-in demo.
type demoCommand struct {
	Port   string `arg:""`
	Number string `arg:""`
}

// Run serves FastCGI until the process is ended.
func (c *demoCommand) Run() error { return demo.Serve(c.Port, c.Number) }

// guardCommand is the process that ends the backends' processes when spillway itself was killed.
type guardCommand struct{}

// Run reads what to guard from the standard input.
func (guardCommand) Run() error { //nolint:unparam // kong wants an error
	supervisor.RunGuard(os.Stdin)
	return nil
}

// guard is the command that starts the guard: this program in its other role.
func guard() *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return exec.Command(exe, "guard") //nolint:noctx // it ends when its pipe does, not with a context
}

// complain prints an error for the operator: each problem of a configuration on a line of its own.
func complain(w io.Writer, err error) {
	if problems, ok := errors.AsType[configs.Problems](err); ok {
		for _, p := range problems {
			_, _ = fmt.Fprintln(w, p)
		}
		return
	}
	_, _ = fmt.Fprintln(w, "spillway:", err)
}
