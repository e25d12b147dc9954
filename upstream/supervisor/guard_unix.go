//go:build unix

package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Guard is a second process that kills what backend processes have started themselves, should spillway be killed: the
// kernel does it for the processes alone, and for them on Linux only. The guard is the same program in another role, reads
// a pipe from us and knows the process groups; when the pipe ends, however we ended, it kills them. One guard serves all
// backends. On Windows it starts nothing: Job objects do the work.
type Guard struct {
	command func() *exec.Cmd // set by StartGuard, read only

	mu     sync.Mutex // guards all below; held while a line is written, or lines of one group could change places
	groups map[int]bool
	cmd    *exec.Cmd
	pipe   io.WriteCloser
}

// StartGuard starts the guard's process. The command is the main program with an argument upon which it calls
// RunGuard(os.Stdin). It is asked for again when the guard's process has died and another group is to be guarded.
func StartGuard(command func() *exec.Cmd) (*Guard, error) {
	g := &Guard{command: command, groups: make(map[int]bool)}
	if err := g.start(); err != nil {
		return nil, err
	}
	return g, nil
}

// start needs mu, but in StartGuard.
func (g *Guard) start() error {
	cmd := g.command()
	// A session of its own: neither the terminal's signals nor a kill of spillway's group end the guard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	g.cmd, g.pipe = cmd, pipe
	for pgid := range g.groups {
		if err := g.send("add", pgid); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the guard's process. The backends that use it must be stopped.
func (g *Guard) Stop() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.groups)
	g.pipe.Close()
	return g.cmd.Wait()
}

// add has the group killed when we end. A nil Guard does nothing.
func (g *Guard) add(pgid int) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[pgid] = true
	if g.send("add", pgid) == nil {
		return nil
	}
	// The guard is dead. Its successor learns of all groups.
	g.pipe.Close()
	_ = g.cmd.Wait() // how it died does not matter
	return g.start()
}

// del forgets the group. A nil Guard does nothing.
func (g *Guard) del(pgid int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, pgid)
	_ = g.send("del", pgid) // a dead guard is noticed by the next add; it kills nothing
}

// send needs mu.
func (g *Guard) send(verb string, pgid int) error {
	if _, err := fmt.Fprintf(g.pipe, "%s %d\n", verb, pgid); err != nil {
		return fmt.Errorf("tell guard: %w", err)
	}
	return nil
}

// RunGuard is the guard's process: it reads lines "add PGID" and "del PGID" and, when r ends, kills the groups that are
// left and returns. It ignores the signals that end programs politely: a service manager sends them to all at once, and the
// guard must outlive spillway's orderly stop.
func RunGuard(r io.Reader) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	groups := make(map[int]bool)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		verb, pgid, ok := parseGuardLine(lines.Text())
		if !ok {
			continue
		}
		if verb == "add" {
			groups[pgid] = true
		} else {
			delete(groups, pgid)
		}
	}
	for pgid := range groups {
		_ = syscall.Kill(-pgid, syscall.SIGKILL) // gone already, or nothing that we could do
	}
}

// parseGuardLine takes a line of the pipe apart. Only group numbers above 1 are valid: to kill(2), 0 means one's own group
// and -1 everybody.
func parseGuardLine(line string) (verb string, pgid int, ok bool) {
	verb, number, _ := strings.Cut(line, " ")
	pgid, err := strconv.Atoi(number)
	return verb, pgid, err == nil && pgid > 1 && (verb == "add" || verb == "del")
}
