package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// pipes is the folder of all pipes of the machine.
const pipes = `\\.\pipe\`

// socket is what an instance listens on, with its lock: an object of the system with a name, which is gone when nobody has
// a handle of it. Windows also refuses to make a pipe that exists, so nobody's pipe is in the place of ours; Wine does not.
type socket struct {
	net.Listener

	lock windows.Handle
}

// Close closes the pipe, then gives the lock back.
func (s *socket) Close() error { return errors.Join(s.Listener.Close(), windows.CloseHandle(s.lock)) }

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

// listen takes the lock and makes the pipe. For all but the first one the error is a *RunningError without an identity: it
// does not answer, or it is another account's; see Listen.
func listen(_ context.Context, p Place, _ Identity) (*socket, error) {
	descriptor, err := securityDescriptor()
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	lock, err := takeLock(p, descriptor)
	if err != nil {
		return nil, err
	}
	listener, err := winio.ListenPipe(p.pipe(), &winio.PipeConfig{SecurityDescriptor: descriptor})
	if err == nil {
		return &socket{listener, lock}, nil
	}
	_ = windows.CloseHandle(lock)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("control: another program has the pipe %s", p.pipe())
	}
	return nil, fmt.Errorf("control: %w", err)
}

// takeLock makes the mutex of the pipe's name, which all sessions of the machine see.
func takeLock(p Place, descriptor string) (windows.Handle, error) {
	security, err := windows.SecurityDescriptorFromString(descriptor)
	if err != nil {
		return 0, fmt.Errorf("control: %w", err)
	}
	// The name of an object has no backslashes.
	name, err := windows.UTF16PtrFromString(`Global\` + strings.ReplaceAll(folded(strings.TrimPrefix(p.pipe(), pipes)), `\`, "-"))
	if err != nil {
		return 0, fmt.Errorf("control: %w", err)
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: security}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	lock, err := windows.CreateMutex(&attributes, false, name)
	switch {
	case errors.Is(err, windows.ERROR_ALREADY_EXISTS):
		return 0, errors.Join(&RunningError{}, windows.CloseHandle(lock))
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return 0, &RunningError{}
	case err != nil:
		return 0, fmt.Errorf("control: lock: %w", err)
	}
	return lock, nil
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
