package control_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"spillway/cmd/spillway/internal/control"
)

func TestListen_IsForItsAccountOnly(t *testing.T) {
	p := place(t)
	_, s := serve(t, p)
	name, err := windows.UTF16PtrFromString(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	find(t, p) // under Wine the first client gets no answer
	pipe, err := windows.CreateFile(name, windows.READ_CONTROL|windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = windows.CloseHandle(pipe) }()
	descriptor, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	self, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	text := descriptor.String()
	list, _, err := descriptor.DACL()
	if err != nil || list.AceCount != 3 {
		t.Errorf("got %s, %v, want three accounts", text, err)
	}
	for _, account := range []string{";;;BA)", ";;;SY)", ";;;" + self.User.Sid.String() + ")"} {
		if !strings.Contains(text, account) {
			t.Errorf("got %s, want %s in it", text, account)
		}
	}
}

// An instance that hangs is one all the same.
func TestListen_AnInstanceThatHangsIsOne(t *testing.T) {
	p := place(t)
	s := listen(t, p) // it never answers
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nor does anybody wait for an answer
	_, err := control.Listen(ctx, p, control.Identity{})
	if running, ok := errors.AsType[*control.RunningError](err); !ok || running.PID != 0 {
		t.Errorf("got %v, want that another one runs", err)
	}
	if err := s.Close(control.Ending{}); err != nil {
		t.Fatal(err)
	}
	if err := listen(t, p).Close(control.Ending{}); err != nil {
		t.Error(err)
	}
}

func TestPlace_IsTheSameForAllSpellings(t *testing.T) {
	dir := t.TempDir()
	at := func(file string) control.Place {
		p, err := control.At(file, "")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	serve(t, at(filepath.Join(dir, "Site", "..", "Spillway.YAML")))
	find(t, at(strings.ToUpper(filepath.Join(dir, "spillway.yaml"))))
}
