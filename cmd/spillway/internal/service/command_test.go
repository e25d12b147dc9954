package service

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/configs"
)

func TestName(t *testing.T) {
	f := func(called, want string) {
		t.Helper()
		if got := Name(called); got != want {
			t.Errorf("%q: got %s, want %s", called, got, want)
		}
	}
	f("", "spillway")
	f("spillway", "spillway")
	f("shop", "spillway-shop")
	f("spillway-shop", "spillway-shop")
}

func TestSource_ReadsByTheAbsolutePath(t *testing.T) {
	t.Chdir(t.TempDir())
	load := func(file string) (*configs.Config, error) {
		if !filepath.IsAbs(file) {
			t.Errorf("%s is not absolute", file)
		}
		return &configs.Config{File: file}, nil
	}
	if _, err := (Source{Load: load}).read(); err == nil || !strings.Contains(err.Error(), "-c") {
		t.Errorf("got %v for a file that is not there, want what to do", err)
	}
}

func TestPatience_CoversDrainAndStop(t *testing.T) {
	config := &configs.Config{
		ShutdownTimeout: configs.Duration(30 * time.Second),
		Upstreams: []*configs.Upstream{
			{}, {Backend: &configs.Backend{StopTimeout: configs.Duration(10 * time.Second)}},
		},
	}
	if got := patienceFor(config); got <= 40*time.Second {
		t.Errorf("got %v, want more than 40s", got)
	}
}

func TestAdvice_NamesFoldersOnceAndALostLog(t *testing.T) {
	dir := t.TempDir()
	config := &configs.Config{TempPath: filepath.Join(dir, "temp")}
	config.ErrorLog.Path = configs.Stderr
	config.AccessLog.Path = filepath.Join(dir, "temp", "access.log")
	f := func(c installCommand, account string, want ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := c.advise(config, account, &out); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("got %q, want %d lines", lines, len(want))
		}
		for i, line := range lines {
			if !strings.Contains(line, want[i]) {
				t.Errorf("got %s, want one about %s", line, want[i])
			}
		}
	}
	f(installCommand{}, `NT SERVICE\spillway`, "stderr", "write to "+filepath.Join(dir, "temp")+";")
	f(installCommand{Grant: true}, `NT SERVICE\spillway`, "stderr")
	f(installCommand{}, localSystem, "stderr")
}
