package supervisor

import "testing"

func TestCodeText(t *testing.T) {
	f := func(code uint32, want string) {
		t.Helper()
		if got := codeText(code); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
	f(0, "exit code 0")
	f(3, "exit code 3")
	f(9009, "exit code 9009 (cmd.exe: the command was not found)")
	f(3221225477, "exit code 3221225477 (0xC0000005 access violation)")
	f(0xC0000135, "exit code 3221225781 (0xC0000135 DLL not found)")
	f(0x40010004, "exit code 1073807364 (0x40010004 terminated by a debugger or at log-off)")
	f(0xC0DEC0DE, "exit code 3235823838 (0xC0DEC0DE)") // nobody knows it, but one can look for it
	f(0x7FFFFFFF, "exit code 2147483647 (0x7FFFFFFF)")
}
