package supervisor_test

import (
	"strconv"
	"testing"

	"golang.org/x/sys/windows"
)

// The program is killed when the one that it has started is suspended and not in a job of its own yet.
func TestEndTogether_LeavesNoSuspendedProcess(t *testing.T) {
	w := newWitness(t)
	spillway := inRole("together")()
	spillway.Env = append(spillway.Env, witnessVar+"="+w.ln.Addr().String())
	if err := spillway.Start(); err != nil {
		t.Fatal(err)
	}
	started := w.next(t)
	started.lines.Scan()
	pid, err := strconv.ParseUint(started.lines.Text(), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	suspended, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(suspended)

	if err := spillway.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	spillway.Wait()
	if event, err := windows.WaitForSingleObject(suspended, uint32(patience.Milliseconds())); event != windows.WAIT_OBJECT_0 {
		t.Errorf("the suspended process is still there: %#x, %v", event, err)
		windows.TerminateProcess(suspended, 1)
	}
}
