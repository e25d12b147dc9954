//go:build unix

package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/cmd/spillway/internal/control"
)

// short is a folder whose path leaves room for the name of a socket, which t.TempDir may not.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ctl") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestListen_IsForItsAccountOnly(t *testing.T) {
	dir := short(t)
	folder := filepath.Join(dir, "run")
	t.Setenv("RUNTIME_DIRECTORY", folder+":/elsewhere")
	_, s := serve(t, place(t))
	if filepath.Dir(s.Address()) != folder {
		t.Fatalf("got %s, want it in %s", s.Address(), folder)
	}
	for path, want := range map[string]os.FileMode{
		folder: os.ModeDir | 0o700, s.Address(): os.ModeSocket | 0o600, s.Address() + ".lock": 0o600,
	} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	if err := s.Close(control.Ending{}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want nothing left", left, err)
	}
}

func TestListen_TakesOverWhatACrashHasLeft(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", short(t))
	p := place(t)
	_, s := serve(t, p)
	address := s.Address()
	if err := s.Close(control.Ending{}); err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	if err := os.WriteFile(address+".lock", []byte(`{"pid": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Find(t.Context(), p); err == nil || !strings.HasPrefix(err.Error(), "no spillway runs with ") {
		t.Errorf("got %v, want nobody", err)
	}
	serve(t, p)
	find(t, p)
}

// An instance that hangs has its lock, and the lock's file says who it is.
func TestListen_AnInstanceThatHangsIsOne(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", short(t))
	p := place(t)
	s := listen(t, p) // it never answers
	defer func() { _ = s.Close(control.Ending{}) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nor does anybody wait for an answer
	_, err := control.Listen(ctx, p, control.Identity{})
	if running, ok := errors.AsType[*control.RunningError](err); !ok || running.PID != 4360 {
		t.Errorf("got %v, want that 4360 runs", err)
	}
}

func TestListen_PassesOverAFolderOfOthers(t *testing.T) {
	dir := short(t)
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "target"), 0o700), os.Symlink("target", link)); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{open, link, filepath.Join(dir, "missing", "run"), filepath.Join(dir, strings.Repeat("x", 99))} {
		t.Setenv("RUNTIME_DIRECTORY", folder)
		p := place(t)
		_, s := serve(t, p)
		if filepath.Dir(s.Address()) == folder {
			t.Errorf("got %s", s.Address())
		}
		find(t, p)
	}
}

func TestListen_AtANamedPath(t *testing.T) {
	dir := short(t)
	file, socket := filepath.Join(dir, "site.yaml"), filepath.Join(dir, "site.sock")
	at := func(address string) control.Place {
		p, err := control.At(file, address)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	_, s := serve(t, at(socket))
	if s.Address() != socket {
		t.Errorf("got %s, want %s", s.Address(), socket)
	}
	find(t, at(socket))
	refused := func(p control.Place, want string) {
		t.Helper()
		if _, err := control.Listen(t.Context(), p, control.Identity{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(at(file), file+" is there, and is no socket")
	refused(at(filepath.Join(dir, "missing", "sock")), "no such file")
	refused(at("/"+strings.Repeat("x", 103)), "a socket's path has at most 103 bytes, this one 104")

	other, err := control.At(filepath.Join(dir, "other.yaml"), socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Find(t.Context(), other); err == nil || !strings.Contains(err.Error(), "pid 4360, runs site.yaml") {
		t.Errorf("got %v, want who has the socket", err)
	}
}

// The one that was started with another address, or before the file named one, is found where it is.
func TestFind_AlsoAtTheDerivedPlace(t *testing.T) {
	p := place(t)
	serve(t, p)
	named, err := control.At(p.Path, filepath.Join(short(t), "new.sock"))
	if err != nil {
		t.Fatal(err)
	}
	find(t, named)
}

// In /run/lock, as in /tmp, everybody can put things: a socket there that is somebody else's speaks for nobody, neither to root,
// who gives a command, nor to a start that asks who runs.
func TestFind_NobodySpeaksForAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	p := place(t)
	shared := filepath.Join(short(t), "lock")
	if err := errors.Join(os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777|os.ModeSticky)); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	_, s := serve(t, p)
	name := filepath.Base(s.Address())
	if err := s.Close(control.Ending{}); err != nil {
		t.Fatal(err)
	}
	fake, err := net.Listen("unix", filepath.Join(shared, name))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	if err := os.Lchown(fake.Addr().String(), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RUNTIME_DIRECTORY", shared)
	conn, err := control.Dial(t.Context(), p)
	if missing := (*control.NotRunningError)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v, %v, want that nobody runs", conn, err)
	}
}
