package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"spillway/cmd/spillway/internal/control"
	"spillway/configs"
)

// The commands for the spillway that runs. Each finds it by the configuration, as run does.

// commandFor is how a command for this configuration is written.
func commandFor(f fileName, name string) string {
	if f == "" {
		return "`spillway " + name + "`"
	}
	file := string(f)
	if strings.ContainsAny(file, " \t&()'$;") {
		file = `"` + file + `"`
	}
	return "`spillway " + name + " -c " + file + "`"
}

// ask finds the spillway that runs and has something done by it. Ctrl+C ends the waiting, not what was begun.
func ask(f fileName, do func(ctx context.Context, c *control.Client) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	config, _ := configs.Load(pathOf(f)) // what is wrong with it is not the question here
	address, off := "", false
	if config != nil {
		off = config.Control == configs.ControlOff
	}
	if config != nil && !off {
		address = config.Control
	}
	place, err := control.At(pathOf(f), address)
	if err != nil {
		return err
	}
	client, err := control.Find(ctx, place)
	if missing, ok := errors.AsType[*control.NotRunningError](err); ok {
		return nobody(f, missing, off)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	err = do(ctx, client)
	if ctx.Err() != nil {
		return errors.New("interrupted; what was asked for goes on")
	}
	return err
}

// nobody says what to do when nobody was found.
func nobody(f fileName, missing *control.NotRunningError, off bool) error {
	switch {
	case off:
		return fmt.Errorf("%w that takes commands: the file says control: off", missing)
	case missing.Hidden != "":
		return fmt.Errorf("%w that this account can see; one of %s could: give the command as %s, or start one with %s",
			missing, missing.Hidden, missing.Hidden, commandFor(f, "run"))
	}
	if _, err := os.Stat(missing.Path); f != "" && errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w, and there is no such file", missing)
	}
	return fmt.Errorf("%w; start it with %s", missing, commandFor(f, "run"))
}

// say tells the operator what was done.
func say(format string, args ...any) error {
	_, err := fmt.Fprintf(os.Stdout, format+"\n", args...)
	return err
}

// reloadCommand has the configuration read again.
type reloadCommand struct{}

// Run returns when the new configuration serves, or with every problem of it.
func (reloadCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error {
		if err := c.Reload(ctx); err != nil {
			return err
		}
		return say("pid %d serves %s as it is now", c.Identity.PID, c.Identity.Config)
	})
}

// restartCommand replaces processes.
type restartCommand struct {
	Upstream string `arg:"" optional:"" help:"Only the processes of this upstream."`
}

// Run returns when all are replaced, or with the reason why those from before serve on.
func (r *restartCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error {
		began := time.Now()
		if err := c.Restart(ctx, r.Upstream); err != nil {
			return err
		}
		what := "all processes"
		if r.Upstream != "" {
			what = "the processes of " + r.Upstream
		}
		return say("%s were replaced in %s", what, seconds(time.Since(began)))
	})
}

// reopenCommand has the log files opened anew.
type reopenCommand struct{}

// Run returns when the new files are open.
func (reopenCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error { return c.Reopen(ctx) })
}

// quitCommand ends it in order.
type quitCommand struct{}

// Run returns when it is gone.
func (quitCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error { return gone(ctx, c, c.Quit) })
}

// stopCommand ends it at once.
type stopCommand struct{}

// Run returns when it is gone.
func (stopCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error { return gone(ctx, c, c.Stop) })
}

// gone prints how it ended.
func gone(ctx context.Context, c *control.Client, end func(context.Context) (control.Ending, error)) error {
	ending, err := end(ctx)
	if err != nil {
		return err
	}
	how := "no request was cut"
	if ending.Cut == 1 {
		how = "1 request was cut"
	} else if ending.Cut > 1 {
		how = fmt.Sprintf("%d requests were cut", ending.Cut)
	}
	if err := say("pid %d has ended after %s; %s", c.Identity.PID, seconds(ending.Took), how); err != nil {
		return err
	}
	if len(ending.Lines) > 0 {
		return &control.LinesError{Lines: ending.Lines}
	}
	return nil
}

// seconds writes a length of time for people.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// statusCommand shows what runs.
type statusCommand struct {
	JSON bool `name:"json" help:"The JSON of /status."`
}

// Run prints the state as a table, or as it is.
func (s *statusCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, c *control.Client) error {
		text, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if s.JSON {
			_, err := os.Stdout.Write(text)
			return err
		}
		report := statusReport{}
		if err := json.Unmarshal(text, &report); err != nil {
			return fmt.Errorf("the answer of pid %d: %w", c.Identity.PID, err)
		}
		return writeTables(os.Stdout, &report, time.Now())
	})
}
