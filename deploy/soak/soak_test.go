//go:build linux && !race

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The short form of what main.go says; the long one is deploy/soak/run.
func TestSoak_LosesAndLeaksNothing(t *testing.T) {
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", folder+string(filepath.Separator), "../../cmd/spillway", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(folder, "soak"), "-spillway", filepath.Join(folder, "spillway"),
		"-length", "10s", "-conns", "16", "-interval", "200ms")
	out, err := command.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
