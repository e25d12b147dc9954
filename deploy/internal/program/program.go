package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// outputName is that of the file with what the program writes to standard output and standard error.
const outputName = "output"

// patience is how long a program may take to end before it is killed.
const patience = 5 * time.Second

// Command says what to start.
type Command struct {
	Name      string   // for messages
	File      string   // the program
	Args      []string // before the name of its configuration; nil is -c
	Templates fs.FS
	Template  string   // of the configuration, a name in Templates that ends in .tmpl
	Protocol  string   // for the template
	Peers     []string // for the template
	More      any      // for the template

	// Text writes the configuration instead of a template; then Template is the name of its file.
	Text func(addr string) string
}

// setting is what the templates are given.
type setting struct {
	Addr     string
	Folder   string
	Protocol string
	Peers    []string
	More     any
}

// Program is a running proxy.
type Program struct {
	Name   string
	Addr   string // that it listens on
	Folder string // configuration, output, logs, temporary files; removed by Stop

	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
}

// Start runs a program and returns when it accepts connections.
func Start(ctx context.Context, c Command) (*Program, error) {
	addr, err := FreeAddr(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bench-"+c.Name)
	if err != nil {
		return nil, err
	}
	p := &Program{Name: c.Name, Addr: addr, Folder: folder, done: make(chan struct{})}
	if err := p.start(ctx, c); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	if err := p.waitUntilOpen(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Program) start(ctx context.Context, c Command) error {
	// For nginx, whose workers give root up and still have to reach their files.
	if err := os.Chmod(p.Folder, 0o755); err != nil {
		return err
	}
	config, err := p.writeConfig(c)
	if err != nil {
		return err
	}
	args := c.Args
	if args == nil {
		args = []string{"-c"}
	}
	output, err := os.Create(filepath.Join(p.Folder, outputName))
	if err != nil {
		return err
	}
	defer output.Close()
	p.cmd = exec.CommandContext(ctx, c.File, slices.Concat(args, []string{config})...)
	p.cmd.Dir = p.Folder
	p.cmd.SysProcAttr = ownGroup()
	// A program with children ends them when it is asked to end, not when it is killed.
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = patience
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() { // ends with the program
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return nil
}

// PID is that of the first process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the program has ended, by itself or because it was asked to.
func (p *Program) Ended() <-chan struct{} { return p.done }

// Stop ends the program and removes its folder.
func (p *Program) Stop() {
	// On an error it has ended already.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	_ = os.RemoveAll(p.Folder)
}

// FreeAddr finds a port on 127.0.0.1, one of those that the system does not give to whoever wants any: it is still free when it
// is wanted.
func FreeAddr(ctx context.Context) (string, error) {
	const first, count, tries = 10000, 5000, 100 // tests of spillway take those that follow
	var config net.ListenConfig
	for try := 1; ; try++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(count)))
		ln, err := config.Listen(ctx, "tcp", addr)
		if err == nil {
			return addr, ln.Close()
		}
		if try == tries {
			return "", err
		}
	}
}

// writeConfig writes the configuration and returns the name of the file.
func (p *Program) writeConfig(c Command) (string, error) {
	if c.Text == nil {
		return fillIn(c.Templates, c.Template, setting{p.Addr, p.Folder, c.Protocol, c.Peers, c.More})
	}
	file := filepath.Join(p.Folder, c.Template)
	return file, os.WriteFile(file, []byte(c.Text(p.Addr)), 0o600)
}

// fillIn fills a template in and returns the name of the file.
func fillIn(templates fs.FS, name string, s setting) (string, error) {
	t, err := template.ParseFS(templates, name)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return "", err
	}
	file := filepath.Join(s.Folder, strings.TrimSuffix(name, ".tmpl"))
	return file, os.WriteFile(file, text.Bytes(), 0o600)
}

// waitUntilOpen returns when the program accepts connections.
func (p *Program) waitUntilOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-p.done:
			output, err := os.ReadFile(filepath.Join(p.Folder, outputName))
			return errors.Join(fmt.Errorf("%s ended early: %s", p.Name, bytes.TrimSpace(output)), err)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", p.Name, err)
		}
	}
}
