package main

import (
	"bufio"
	"bytes"
	"context"
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

// fileName is that of the configuration.
const fileName = "spillway.yaml"

// patience bounds one command: a rolling restart of all processes takes some seconds on a busy machine.
const patience = 2 * time.Minute

// A site is spillway with processes of its demo.
type site struct {
	program *program.Program
	file    string // spillway's
	admin   string
	extra   string // listener that only the second configuration has
	reopens int
}

func startSite(ctx context.Context, file string) (*site, error) {
	s := &site{file: file}
	for _, addr := range []*string{&s.admin, &s.extra} {
		var err error
		if *addr, err = program.FreeAddr(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	s.program, err = program.Start(ctx, program.Command{
		Name: "spillway", File: file, Template: fileName, Text: func(addr string) string { return s.config(addr, false) },
	})
	return s, err
}

// addresses are those of the load: the processes that stay and those that every reload replaces.
func (s *site) addresses() []target {
	return []target{{s.program.Addr, "stays"}, {s.program.Addr, "changes"}}
}

// config is one of the two configurations between which spillway is reloaded. They differ in everything that a reload can
// change: settings, limits, the environment of processes, an upstream, a listener.
func (s *site) config(addr string, second bool) string {
	exe := "'" + strings.ReplaceAll(s.file, "'", "''") + "'"
	backend := func(processes int, more string) string {
		return fmt.Sprintf("{protocol: fastcgi, backend: {command: [%s, demo-process, '{port}', '{process}'], processes: %d%s}}",
			exe, processes, more)
	}
	var b strings.Builder
	version, listen, more := "first", "", ""
	if second {
		version, listen = "second", ", '"+s.extra+"'"
		more = "read_timeout: 50s\nkeepalive_timeout: 70s\nset_header: {X-Churn: second}\nmemory_budget: 128m\n"
	}
	fmt.Fprintf(&b, "admin: {listen: '%s'}\naccess_log: {path: access.log, format: '$status'}\n%s", s.admin, more)
	fmt.Fprintf(&b, "error_log: {path: error.log, level: notice}\nupstreams:\n")
	fmt.Fprintf(&b, "  stays: %s\n", backend(2, ""))
	fmt.Fprintf(&b, "  changes: %s\n", backend(1, ", env: {CHURN: "+version+"}"))
	if second {
		fmt.Fprintf(&b, "  comes: %s\n", backend(1, ""))
	}
	fmt.Fprintf(&b, "servers:\n")
	for _, name := range []string{"stays", "changes"} {
		fmt.Fprintf(&b, "  - {listen: ['%s'%s], server_name: [%s], locations: [{path: /, pass: %s}]}\n", addr, listen, name, name)
	}
	if second {
		fmt.Fprintf(&b, "  - {listen: ['%s'], server_name: [comes], locations: [{path: /, pass: comes}]}\n", addr)
	}
	return b.String()
}

// reload writes one of the two configurations and lets spillway read it.
func (s *site) reload(ctx context.Context, second bool) error {
	text := s.config(s.program.Addr, second)
	if err := os.WriteFile(filepath.Join(s.program.Folder, fileName), []byte(text), 0o600); err != nil {
		return err
	}
	return s.command(ctx, "reload")
}

// reopen puts the access log aside, as logrotate does.
func (s *site) reopen(ctx context.Context) error {
	s.reopens++
	name := filepath.Join(s.program.Folder, "access.log")
	if err := os.Rename(name, name+"."+strconv.Itoa(s.reopens)); err != nil {
		return err
	}
	return s.command(ctx, "reopen")
}

// command runs one of spillway's own commands.
func (s *site) command(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.file, name, "-c", filepath.Join(s.program.Folder, fileName)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// counted asks spillway how many requests it has had; of the last ones it may not know yet that their clients have all.
func (s *site) counted(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "nginx_http_requests_total "); ok {
			n, err := strconv.ParseFloat(value, 64)
			return int(n), err
		}
	}
	return 0, errors.Join(errors.New("metrics: nginx_http_requests_total is missing"), lines.Err())
}

// quit lets spillway end and counts the lines of all its access logs.
func (s *site) quit(ctx context.Context) (logged int, err error) {
	if err := s.command(ctx, "quit"); err != nil {
		return 0, err
	}
	select {
	case <-s.program.Ended():
	case <-time.After(patience):
		return 0, errors.New("spillway does not end")
	}
	names, err := filepath.Glob(filepath.Join(s.program.Folder, "access.log*"))
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

// errorLog writes the last lines of the error log, for who wants to know why.
func (s *site) errorLog(out io.Writer) {
	text, err := os.ReadFile(filepath.Join(s.program.Folder, "error.log"))
	if err == nil {
		lines := bytes.SplitAfter(text, []byte("\n"))
		_, _ = out.Write(bytes.Join(lines[max(0, len(lines)-40):], nil))
	}
}
