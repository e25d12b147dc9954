package supervisor

import (
	"os/exec"
	"runtime"
)

// launcher starts all processes of a backend on one thread. Linux sends the parent death signal when the thread that has
// started a process ends, not when the program does: on a thread that Go's scheduler may end at any time, processes would
// die for no reason.
type launcher struct {
	jobs chan launch
}

type launch struct {
	cmd  *exec.Cmd
	done chan<- error
}

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan launch)}
	go l.run() // ended by close
	return l
}

func (l *launcher) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for job := range l.jobs {
		job.done <- job.cmd.Start()
	}
}

func (l *launcher) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	l.jobs <- launch{cmd, done}
	return <-done
}

// close ends the thread. All processes must be gone.
func (l *launcher) close() { close(l.jobs) }
