package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"

	"spillway/cmd/spillway/internal/app"
	"spillway/cmd/spillway/internal/control"
	"spillway/cmd/spillway/internal/demo"
	"spillway/cmd/spillway/internal/doctor"
	"spillway/cmd/spillway/internal/service"
	"spillway/configs"
	"spillway/upstream/supervisor"
)

// defaultFile is the configuration that is read without -c, from the current folder.
const defaultFile = "spillway.yaml"

// configOf reads the configuration, or takes the demo's when there is none. Beside problems there may be a configuration of
// what could be read.
func configOf(named fileName) (*configs.Config, error) {
	if _, err := os.Stat(defaultFile); named == "" && errors.Is(err, os.ErrNotExist) {
		return demoConfig()
	}
	return configs.Load(pathOf(named))
}

// load reads the configuration and compares it with this machine. All problems of the file are in the error.
func load(named fileName) (*configs.Config, error) { return checked(configOf(named)) }

// loadFile does the same with a file that must be there.
func loadFile(file string) (*configs.Config, error) { return checked(configs.Load(file)) }

// checked adds what app.Check finds to the problems that are known.
func checked(config *configs.Config, err error) (*configs.Config, error) {
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

// runCommand serves until a signal, a command or the service manager ends it.
type runCommand struct{}

// Run starts everything, and stops it in order at the end: see instance.
func (runCommand) Run(line *commandLine) error {
	i, err := newInstance(line.Config)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(newBallast())
	return service.Run(i.place.Path, i.run)
}

// checkCommand looks for problems and starts nothing.
type checkCommand struct{}

// Run prints that the configuration is right; problems are its error. A host name that is not resolved now, and a
// certificate that ends, are only told of.
func (checkCommand) Run(line *commandLine) error {
	config, err := load(line.Config)
	if err != nil {
		return err
	}
	for _, p := range app.CheckNames(context.Background(), config) {
		_, _ = fmt.Fprintf(os.Stderr, "warning: %v; spillway starts without it, and asks again and again\n", p)
	}
	for _, p := range config.CheckExpiry() {
		_, _ = fmt.Fprintf(os.Stderr, "warning: %v; spillway starts with it\n", p)
	}
	_, err = fmt.Fprintf(os.Stdout, "%s: the configuration is right (servers: %d, upstreams: %d)\n",
		config.File, len(config.Servers), len(config.Upstreams))
	return err
}

// doctorCommand looks at the machine.
type doctorCommand struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Run prints what it found; the exit status is that of the worst finding. The problems of the configuration are check's, but
// they are shown, too: nobody is to think that all is well.
func (d *doctorCommand) Run(line *commandLine) error {
	config, err := configOf(line.Config)
	if err != nil {
		complain(os.Stderr, err)
	}
	status := doctor.Run(os.Stdout, config, d.JSON)
	if err != nil {
		status = max(status, exitFailed)
	}
	if status != 0 {
		return statusError(status)
	}
	return nil
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

// complain prints an error for the operator.
func complain(w io.Writer, err error) {
	for _, line := range linesOf(err) {
		_, _ = fmt.Fprintln(w, line)
	}
}

// linesOf returns an error as it is shown: each problem of a configuration on a line of its own.
func linesOf(err error) (lines []string) {
	if problems, ok := errors.AsType[configs.Problems](err); ok {
		for _, p := range problems {
			lines = append(lines, p.String())
		}
		return lines
	}
	if answered, ok := errors.AsType[*control.LinesError](err); ok {
		return answered.Lines
	}
	return []string{"spillway: " + err.Error()}
}
