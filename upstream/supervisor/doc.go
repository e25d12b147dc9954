// Package supervisor starts the processes of a backend, watches, restarts and stops them.
//
// A Backend owns a fixed number of processes, each with a number from 1 and a port on 127.0.0.1. It says what happens to
// them by events (Options.OnEvent): whoever spreads requests adds an address at Ready and drops it at Stopping.
// One goroutine owns each process and walks through its life (process.go); a run is one launch of it, from the system
// call to the end of its tree (run.go).
//
// Rules for the caller: one owner calls New, Start, then Stop, one after the other; WaitReady and Snapshot may be called at
// any time by anyone. Events of one process arrive in order and without locks held; a slow OnEvent delays the supervision
// of that process only, and OnEvent must not call Stop.
//
// No process outlives its supervisor. On Windows every process lives in a Job object that dies with the handle
// (tree_windows.go), and EndTogether holds what is not in its job yet. On Unix it leads a process group of its own; on
// Linux the kernel kills it with its parent, and a Guard, a second process, kills what the process has started itself.
// What leaves the group with setsid(2) is not caught.
//
// Locks: Backend.mu is a leaf; it is never held during I/O or a callback.
//
// The package knows no peers and carries no requests: draining before a stop is the caller's job. It does not limit memory
// or CPU time, and it does not change the number of processes while it runs.
package supervisor
