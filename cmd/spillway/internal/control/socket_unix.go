//go:build unix

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socket is what an instance listens on, with its lock.
type socket struct {
	net.Listener

	address string
	lock    *os.File
}

// listen takes the lock and opens the socket. A folder that cannot be used is passed over: the client looks into all.
func listen(ctx context.Context, p Place, id Identity) (*socket, error) {
	addresses, err := p.addresses()
	if err != nil {
		return nil, err
	}
	var reasons []error
	for _, address := range addresses {
		s, err := listenAt(ctx, p, address, id)
		if err == nil {
			return s, nil
		}
		if _, running := errors.AsType[*RunningError](err); running {
			return nil, err
		}
		reasons = append(reasons, err)
	}
	if p.address != "" {
		return nil, fmt.Errorf("control: %w", reasons[0])
	}
	return nil, fmt.Errorf("control: no place for a socket (%w); name one with control: PATH, or do without: control: off", reasons[0])
}

func listenAt(ctx context.Context, p Place, address string, id Identity) (*socket, error) {
	if err := p.prepareFolder(address); err != nil {
		return nil, err
	}
	lock, err := takeLock(address + ".lock")
	if err != nil {
		return nil, err
	}
	s := &socket{address: address, lock: lock}
	if err := errors.Join(s.note(id), s.clear()); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	// Without the mode on the descriptor the socket would be open to others for a moment. Where that is not possible there
	// is the mode of the folder, and the chmod.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	if s.Listener, err = config.Listen(ctx, "unix", address); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	if err := os.Chmod(address, 0o600); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// takeLock returns the locked file at path. Its error is a *RunningError when somebody else has the lock. The descriptor is
// closed in processes that we start, so the lock ends with us.
func takeLock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		ours, err := file.Stat()
		there, statErr := os.Lstat(path)
		if err == nil && statErr == nil && os.SameFile(ours, there) {
			return file, nil
		}
		// Who had the lock has removed the file in between: this is no longer the one that others will look at.
		file.Close()
	}
}

func lockFile(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return &RunningError{readIdentity(file)}
	case err != nil:
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
}

// readIdentity reads what the owner of the lock wrote; it may be about to.
func readIdentity(file *os.File) (id Identity) {
	text, err := io.ReadAll(io.LimitReader(file, maxBody))
	if err != nil || json.Unmarshal(text, &id) != nil {
		return Identity{}
	}
	return id
}

// note writes into the lock's file who has it.
func (s *socket) note(id Identity) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	if err := s.lock.Truncate(0); err != nil {
		return err
	}
	_, err = s.lock.WriteAt(append(text, '\n'), 0)
	return err
}

// clear removes the socket of an instance that has crashed: the lock says that it is gone.
func (s *socket) clear() error {
	info, err := os.Lstat(s.address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there, and is no socket", s.address)
	}
	return os.Remove(s.address)
}

// Close removes the socket, then gives the lock back.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.unlock())
}

// unlock removes the lock's file while it is still locked: see takeLock.
func (s *socket) unlock() error {
	err := os.Remove(s.lock.Name())
	return errors.Join(err, s.lock.Close())
}

// dial connects to the instance. The error is *NotRunningError when there is none, or *DeniedError.
func dial(ctx context.Context, p Place) (net.Conn, error) {
	missing := &NotRunningError{Path: p.Path}
	for _, address := range p.candidates() {
		if !p.trusted(address) {
			continue
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
		switch {
		case err == nil:
			return conn, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
			// Nobody, or a socket that a crash has left.
		case errors.Is(err, fs.ErrPermission):
			if info, err := os.Lstat(address); err == nil {
				return nil, &DeniedError{Address: address, Account: accounts(info)}
			}
			if info, err := os.Lstat(filepath.Dir(address)); err == nil {
				missing.Hidden = accountName(owner(info))
			}
		default:
			return nil, fmt.Errorf("control: %w", err)
		}
	}
	return nil, missing
}

// accounts says who may use a socket.
func accounts(info fs.FileInfo) string {
	if name := accountName(owner(info)); name != "root" {
		return name + " or root"
	}
	return "root"
}
