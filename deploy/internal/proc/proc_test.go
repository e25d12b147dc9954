package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestParseStat_NameWithSpacesAndParentheses(t *testing.T) {
	p, err := parseStat("42 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 100")
	if want := (process{42, 7, 2 * time.Second}); err != nil || p != want {
		t.Errorf("got %+v, %v, want %+v", p, err, want)
	}
	for _, text := range []string{"", "1 (a", "1 (a) S 2", "x (a) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 0"} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

func TestParseMemory(t *testing.T) {
	f := func(text string, want int64) {
		t.Helper()
		if got, err := parseMemory(text, "VmHWM:"); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	f("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    3072 kB\nVmRSS:\t1 kB\n", 3<<20)
	f("Name:\tx\nState:\tZ (zombie)\n", 0)
	if _, err := parseMemory("VmHWM: much kB\n", "VmHWM:"); err == nil {
		t.Error("got no error")
	}
}

func TestRSS_IsNoMoreThanThePeak(t *testing.T) {
	needProc(t)
	got, err := RSS(os.Getpid())
	peak, peakErr := PeakRSS(os.Getpid())
	if err != nil || peakErr != nil || got < 1<<20 || got > peak {
		t.Errorf("got %d, %v, with a peak of %d, %v", got, err, peak, peakErr)
	}
}

func TestFiles_CountsWhatIsOpen(t *testing.T) {
	needProc(t)
	before, err := Files(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := Files(os.Getpid()); err != nil || got != before+1 {
		t.Errorf("got %d, %v, want %d", got, err, before+1)
	}
}

func TestWithEnv_FindsAProcess(t *testing.T) {
	needProc(t)
	entry := "PROC_TEST=" + t.TempDir()
	command := exec.CommandContext(t.Context(), "sleep", "60")
	command.Env = []string{"A=b", entry}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if got, err := WithEnv(entry); err != nil || !slices.Equal(got, []int{command.Process.Pid}) {
		t.Errorf("got %v, %v, want process %d", got, err, command.Process.Pid)
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	if got, err := WithEnv(entry); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v after its end", got, err)
	}
}

func TestPeakRSS_OfThisProcess(t *testing.T) {
	needProc(t)
	if got, err := PeakRSS(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("got %d, %v, want some megabytes", got, err)
	}
}

func TestMemory_OfThisProcess(t *testing.T) {
	needProc(t)
	if got, err := Memory(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("got %d, %v, want some megabytes", got, err)
	}
}

func TestDeleted_FileWithoutName(t *testing.T) {
	needProc(t)
	name := filepath.Join(t.TempDir(), "x")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	before, filesBefore, err := Deleted(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	size, files, err := Deleted(os.Getpid())
	if err != nil || size < before+1<<20 || files != filesBefore+1 {
		t.Errorf("got %d bytes in %d files, %v; before %d in %d", size, files, err, before, filesBefore)
	}
}

func needProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip(err)
	}
}
