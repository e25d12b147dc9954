package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// pipes is the folder of all pipes of the machine.
const pipes = `\\.\pipe\`

// socket is what an instance listens on. The first instance of the pipe is the lock: it lives as long as the listener.
type socket struct {
	net.Listener
}

// folded returns the same text for all spellings of a path that differ by case only.
func folded(path string) string { return strings.ToLower(path) }

// pipe returns the name of the pipe.
func (p Place) pipe() string {
	if p.address != "" {
		return p.address
	}
	return pipes + "spillway-" + p.name()
}

// securityDescriptor lets in administrators, SYSTEM and the account of this process, with all rights; P: nothing is
// inherited, so there is nobody else. The pipe refuses clients of other machines (go-winio).
func securityDescriptor() (string, error) {
	self, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	return "D:P(A;;GA;;;BA)(A;;GA;;;SY)(A;;GA;;;" + self.User.Sid.String() + ")", nil
}

// listen makes the pipe. Nobody but the first one can: for others it is a *RunningError.
func listen(_ context.Context, p Place, _ Identity) (*socket, error) {
	descriptor, err := securityDescriptor()
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	listener, err := winio.ListenPipe(p.pipe(), &winio.PipeConfig{SecurityDescriptor: descriptor})
	if err == nil {
		return &socket{listener}, nil
	}
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, fs.ErrExist) {
		return nil, &RunningError{} // of another account, or it does not answer: see Listen
	}
	return nil, fmt.Errorf("control: %w", err)
}

// dial connects to the instance. The error is *NotRunningError when there is none, or *DeniedError.
func dial(ctx context.Context, p Place) (net.Conn, error) {
	names := []string{p.pipe()}
	if derived := (Place{Path: p.Path}).pipe(); derived != names[0] {
		names = append(names, derived)
	}
	for _, name := range names {
		conn, err := winio.DialPipeContext(ctx, name)
		switch {
		case err == nil:
			return conn, nil
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrPermission):
			return nil, &DeniedError{
				Address: name, Account: "administrator (in a console that was opened as one), or as the account that runs it",
			}
		default:
			return nil, fmt.Errorf("control: %s: %w", filepath.Base(name), err)
		}
	}
	return nil, &NotRunningError{Path: p.Path}
}
