package instance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spillway/deploy/internal/program"
)

// The names of an instance's files in its folder. Its configuration has to name the logs so.
const (
	configName = "spillway.yaml"
	accessName = "access.log"
	errorName  = "error.log"
)

// patience bounds one command: a rolling restart of all processes takes some seconds on a busy machine.
const patience = 2 * time.Minute

// An Instance is a running spillway.
type Instance struct {
	*program.Program

	Admin   string // address of the admin listener
	file    string // the program
	reopens int
}

// Start runs the program with a configuration, which is told where to listen for clients and for the admin.
func Start(ctx context.Context, file string, config func(addr, admin string) string) (*Instance, error) {
	admin, err := program.FreeAddr(ctx)
	if err != nil {
		return nil, err
	}
	p, err := program.Start(ctx, program.Command{
		Name: "spillway", File: file, Template: configName, Text: func(addr string) string { return config(addr, admin) },
	})
	if err != nil {
		return nil, err
	}
	return &Instance{Program: p, Admin: admin, file: file}, nil
}

// Reload gives spillway another configuration.
func (i *Instance) Reload(ctx context.Context, text string) error {
	if err := os.WriteFile(filepath.Join(i.Folder, configName), []byte(text), 0o600); err != nil {
		return err
	}
	return i.Command(ctx, "reload")
}

// Reopen puts the access log aside, as logrotate does.
func (i *Instance) Reopen(ctx context.Context) error {
	i.reopens++
	name := filepath.Join(i.Folder, accessName)
	if err := os.Rename(name, name+"."+strconv.Itoa(i.reopens)); err != nil {
		return err
	}
	return i.Command(ctx, "reopen")
}

// Command runs one of spillway's own commands.
func (i *Instance) Command(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, i.file, name, "-c", filepath.Join(i.Folder, configName)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// Requests asks spillway how many requests it has had; of the last ones it may not know yet that their clients have all.
func (i *Instance) Requests(ctx context.Context) (int, error) {
	n, err := i.Metric(ctx, "nginx_http_requests_total")
	return int(n), err
}

// Metric is the value of a metric, the sum over its labels.
func (i *Instance) Metric(ctx context.Context, name string) (float64, error) {
	page, err := i.page(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	defer page.Close()
	return parseMetric(page, name)
}

func parseMetric(page io.Reader, name string) (float64, error) {
	sum, found := 0.0, false
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "{") {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: %s: %w", name, err)
		}
		sum, found = sum+value, true
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("metrics: %s is missing", name)
	}
	return sum, nil
}

// Status reads /status into a value that names the parts that are wanted.
func (i *Instance) Status(ctx context.Context, into any) error {
	page, err := i.page(ctx, "/status")
	if err != nil {
		return err
	}
	defer page.Close()
	return json.NewDecoder(page).Decode(into)
}

// page asks the admin listener; the caller closes what it gets.
func (i *Instance) page(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// Quit lets spillway end and counts the lines of all its access logs.
func (i *Instance) Quit(ctx context.Context) (logged int, err error) {
	if err := i.Command(ctx, "quit"); err != nil {
		return 0, err
	}
	select {
	case <-i.Ended():
	case <-time.After(patience):
		return 0, errors.New("spillway does not end")
	}
	names, err := filepath.Glob(filepath.Join(i.Folder, accessName+"*"))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		logged += bytes.Count(text, []byte("\n"))
	}
	return logged, nil
}

// ErrorLog writes the last lines of the error log, for who wants to know why.
func (i *Instance) ErrorLog(out io.Writer) {
	text, err := os.ReadFile(filepath.Join(i.Folder, errorName))
	if err == nil {
		lines := bytes.SplitAfter(text, []byte("\n"))
		_, _ = out.Write(bytes.Join(lines[max(0, len(lines)-40):], nil))
	}
}
