//go:build unix

package supervisor

import "testing"

func TestCodeText(t *testing.T) {
	f := func(code int, want string) {
		t.Helper()
		if got := codeText(code); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
	f(0, "exit code 0")
	f(1, "exit code 1")
	f(126, "exit code 126 (shell: command cannot be executed)")
	f(127, "exit code 127 (shell: command not found; or a library is missing)")
	f(128, "exit code 128")
	f(137, "exit code 137 (shell: ended by SIGKILL)")
	f(143, "exit code 143 (shell: ended by SIGTERM)")
	f(255, "exit code 255")
}
