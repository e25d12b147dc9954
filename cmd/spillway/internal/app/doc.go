// Package app assembles a running server from a configuration, replaces the configuration while it serves, and stops it in
// order. It is the composition root: the only package that knows all others, and that imports configs.
//
// A generation is what one configuration makes: groups, handlers, routes and fronts. It is immutable. What means the same in
// the next configuration is used by both, such as a group with its connections and its processes; see share and generation.
// The App holds what outlives all generations: memory, metrics, the guard, the log that goes to one file after the other.
//
// Start and Reload are one flow, see reload.go. Start: the error log, the spill folder, all listeners, then the processes.
// Clients are served when all of that is there; the admin listener answers as soon as the processes are being started, so
// that a slow start can be watched. What was begun is undone when a step fails. Stop: what changes the server is given up,
// then the listeners, the exchanges that still run, the processes, the logs.
//
// Reload, Restart, Stop and Kill may be called at any time by anyone; who changes the server waits for his turn. Reopen and
// Status wait for nobody.
//
// Locks: App.mu, backend.mu and outputs.mu are held for no callback, and no other of them is taken under one.
package app
