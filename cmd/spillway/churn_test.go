//go:build linux && !race

package main_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Nothing is lost while spillway is changed under load; deploy/churn says what is counted, and has the longer form.
func TestChurn_CostsNoRequest(t *testing.T) {
	churn := filepath.Join(t.TempDir(), "churn")
	if out, err := exec.Command("go", "build", "-o", churn, "../../deploy/churn").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), churn, "-spillway", program,
		"-reloads", "100", "-reopens", "20", "-restarts", "20", "-conns", "64", "-pause", "100ms")
	out, err := command.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
