package supervisor

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestTree_CountsAllItsMemory(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SUPERVISOR_TEST_ROLE=bystander", "GORACE=atexit_sleep_ms=0")
	tree, err := newTree(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tree.adopt(cmd.Process); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 2)); err != nil { // it and its child have started
		t.Fatal(err)
	}
	pids, err := tree.pids()
	if err != nil || len(pids) < 2 { // on Windows the host of their console may be there too
		t.Errorf("got processes %v, %v, want at least two", pids, err)
	}
	// Each is a Go program of several MiB.
	if n, err := tree.memory(); err != nil || n < 4<<20 || n > 4<<30 {
		t.Errorf("got %d bytes, %v", n, err)
	}

	stdin.Close()
	cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tree.awaitEmpty(ctx)
	if n, err := tree.memory(); err != nil || n != 0 {
		t.Errorf("got %d bytes, %v of an empty tree, want none", n, err)
	}
}
