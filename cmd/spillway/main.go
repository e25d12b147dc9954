// Command spillway is a front end that starts application processes, keeps them alive, spreads requests over them and
// shields them from slow clients.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/alecthomas/kong"

	"spillway/cmd/spillway/internal/service"
)

// commandLine is what can be written after the program's name.
type commandLine struct {
	Config fileName `short:"c" placeholder:"FILE" help:"Configuration; without it ./spillway.yaml, without one the demo."`

	Run     runCommand      `cmd:"" default:"1" help:"Start the processes and serve; also without a command."`
	Check   checkCommand    `cmd:"" help:"Print every problem of the configuration; exit 1 if there is one."`
	Reload  reloadCommand   `cmd:"" help:"Serve the configuration as it is now."`
	Restart restartCommand  `cmd:"" help:"Replace the processes of all or one upstream, one by one."`
	Reopen  reopenCommand   `cmd:"" help:"Open the log files anew, after they were renamed."`
	Quit    quitCommand     `cmd:"" help:"End when the running requests have been answered."`
	Stop    stopCommand     `cmd:"" help:"End at once; running requests are cut."`
	Status  statusCommand   `cmd:"" help:"Show what runs, with the state of each process."`
	Why     whyCommand      `cmd:"" help:"Say why a request has failed, by the ID that its client or the log has; list them."`
	Doctor  doctorCommand   `cmd:"" help:"Look at this machine for what keeps it from working well."`
	Service service.Command `cmd:"" help:"Install, start, stop or remove the Windows service."`
	Version versionCommand  `cmd:"" help:"Print the version."`

	DemoProcess demoCommand  `cmd:"" hidden:"" help:"One process of the built-in demo."`
	Guard       guardCommand `cmd:"" hidden:"" help:"Ends the processes when spillway was killed."`
}

// fileName is the value of -c. It is not empty: batch files are full of variables that are not set, and none of them means
// the demo.
type fileName string

// Decode takes the value from the command line.
func (f *fileName) Decode(ctx *kong.DecodeContext) error {
	name := ""
	if err := ctx.Scan.PopValueInto("file", &name); err != nil || name == "" {
		return errors.New("want the name of a file")
	}
	*f = fileName(name)
	return nil
}

// description is the head of --help.
const description = "A front end for local application processes: starts them, keeps them alive, spreads requests over " +
	"them (HTTP, FastCGI, SCGI, uwsgi), shields them from slow clients and says what went wrong."

// The exit statuses other than 0.
const (
	exitFailed = 1
	exitUsage  = 2 // the command line is wrong, as in most programs
)

// statusError is the error of a command that has said all there is to say.
type statusError int

// Error is for nobody.
func (e statusError) Error() string { return "exit status " + strconv.Itoa(int(e)) }

func main() {
	startProfile()
	line := commandLine{}
	parser := kong.Must(&line, kong.Name("spillway"), kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		complain(os.Stderr, fmt.Errorf("%w; see spillway --help", err))
		os.Exit(exitUsage)
	}
	err = command.Run(service.Source{File: string(line.Config), Load: loadFile})
	if status, ok := errors.AsType[statusError](err); ok {
		os.Exit(int(status))
	}
	if err != nil {
		complain(os.Stderr, err)
		os.Exit(exitFailed)
	}
}
