package supervisor_test

import (
	"context"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"spillway/upstream/supervisor"
)

func TestBackend_HandsOverNoDescriptors(t *testing.T) {
	h := newHarness(t, "", 1, func(o *supervisor.Options) { o.Command = []string{"ls", "/proc/self/fd"} })
	h.start(t)
	h.await(t, supervisor.Starting)
	// The fourth is the folder that ls reads.
	if got, want := h.awaitExit(t).Exit.Output, []string{"0", "1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("got descriptors %v, want %v", got, want)
	}
}

func TestBackend_TellsOfAnExitThoughAStrangerHoldsThePipe(t *testing.T) {
	h := newHarness(t, "escape", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	programs := h.witness.take(t, 2)
	h.drain()
	programs["escape 1"].tell(t, "exit 5")
	if e := h.awaitExit(t); e.Exit.Code != 5 {
		t.Errorf("got %+v, want exit code 5", e.Exit)
	}
	programs["grandchild 1"].tell(t, "exit 0")
	programs["grandchild 1"].awaitGone(t)
}

func TestBackend_LetsWorkersFinishAfterTheirMaster(t *testing.T) {
	h := newHarness(t, "master", 1, func(o *supervisor.Options) { o.StopTimeout = patience })
	h.start(t)
	h.awaitReady(t, 1)
	programs := h.witness.take(t, 2)
	stopped := make(chan error, 1)
	go func() { stopped <- h.Stop(context.Background()) }() // ends with the worker
	programs["master 1"].awaitGone(t)
	worker := programs["worker 1"]
	worker.tell(t, "ask")
	if !worker.lines.Scan() || worker.lines.Text() != "here" {
		t.Error("the worker was killed, want it left alone until the stop timeout")
	}
	worker.tell(t, "exit 0")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestGuard_IsReplacedWhenItHasDied(t *testing.T) {
	var mu sync.Mutex
	var guards []*exec.Cmd
	guard, err := supervisor.StartGuard(func() *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		cmd := inRole("guard")()
		guards = append(guards, cmd)
		return cmd
	})
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, "parent", 1, func(o *supervisor.Options) { o.Guard = guard })
	if err := guards[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	guards[0].Process.Wait()
	h.start(t)
	h.awaitReady(t, 1)
	programs := h.witness.take(t, 2)
	mu.Lock()
	if len(guards) != 2 {
		t.Errorf("got %d guards, want a second one", len(guards))
	}
	mu.Unlock()
	// That the second knows the group shows when its pipe ends while the group lives.
	if err := guard.Stop(); err != nil {
		t.Error(err)
	}
	for _, v := range programs {
		v.awaitGone(t)
	}
}

func TestStopSignal_IsTheOneNamed(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) { o.StopSignal, o.StopTimeout = "quit", patience })
	h.start(t)
	h.awaitReady(t, 1)
	h.stop(t)
	if text := h.Snapshot()[0].LastExit.Text; text != "exit code 2" { // a Go program, after it has written its goroutines
		t.Errorf("got %s, want exit code 2", text)
	}
}
