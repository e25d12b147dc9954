// Package supervisor starts the processes of a backend, watches, replaces, restarts and stops them.
//
// A Backend has ports on 127.0.0.1 and processes with numbers from 1. A process takes a port for a run, which is one launch of
// its program, from the system call to the end of its tree; ports that no process has are spares. Whoever spreads requests
// has an address for each port and learns by events (Options.OnEvent) which of them answer. The life of a process:
//
//  1. Start launches Count.Min processes; Demand and the load, looked at every second, add others up to Count.Max (scale.go).
//  2. A run is Starting until its port accepts, which must be its own doing (listens.go), its Ready.Path is answered with 2xx
//     and its Ready.Warmup was asked for (probe.go). Then it is Ready; one that is not in time is killed.
//  3. A program that ends by itself is launched again after a backoff, at its port, or at a spare when somebody has taken that
//     one (process.go). A process that fails too often is Failed and is left alone until somebody asks for it (rapid_fail.go).
//  4. A run that is too old or too large, or that the caller does not want any more (Recycle), is replaced: a new run starts
//     at a spare, and when that is ready the old one leaves. A new run that does not get ready is ended and the old one has not
//     noticed. Without a spare the old one leaves first. One replacement goes on at a time, the others wait (replace.go).
//  5. Restart replaces all processes, one after the other, and stops at the first that is no good (rolling.go). Update does it
//     with other options, and goes back to the old ones after an error (update.go).
//  6. A run leaves in three steps: Draining, while Options.Drain waits for its requests; Stopping, after the polite signal; and
//     after StopTimeout a kill of the whole tree. Kill skips the first two, for a run that is stuck (leave.go).
//  7. A process that is not needed any more leaves, and its port is a spare again.
//  8. Stop ends all of it.
//
// One goroutine, the loop (loop.go), decides all of this and never waits; what takes time is done by helpers that leave word in
// its inbox. What it knows of ports is in place.go, of processes in process.go, of a run in run.go.
//
// Rules for the caller: one owner calls New, Start, then Stop, one after the other; all else may be called at any time by
// anyone. Events arrive in the order in which things happen, from one goroutine and without locks held; a slow OnEvent or Busy
// delays the supervision of that backend. They may call what does not block (Recycle, Kill, Demand, Snapshot, Totals), and
// must not call Stop, Restart or Update.
//
// No process outlives its supervisor. On Windows every process lives in a Job object that dies with the handle
// (tree_windows.go), and EndTogether holds what is not in its job yet. On Unix it leads a process group of its own; on
// Linux the kernel kills it with its parent, and a Guard, a second process, kills what the process has started itself.
// What leaves the group with setsid(2) is not caught.
//
// Locks: Backend.mu, inbox.mu and run.treeMu are leaves; none of the first two is held during I/O or a callback.
//
// The package knows no peers and carries no requests: it asks its caller for them (Options.Drain and Busy). It measures memory
// and does not limit it by means of the system, nor CPU time.
package supervisor
