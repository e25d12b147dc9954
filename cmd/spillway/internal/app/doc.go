// Package app assembles a running server from a configuration and stops it in order. It is the composition root: the only
// package that knows all others, and that imports configs.
//
// Start: the error log, the spill folder, all listeners, then the processes. Clients are served when all of that is there;
// the admin listener answers as soon as the processes are being started, so that a slow start can be watched. What was
// begun is undone when a step fails. Stop: the listeners, the exchanges that still run, the processes, the logs.
//
// A generation is what one configuration makes: groups, handlers, routes and fronts. It is immutable. The App holds what
// outlives it: listeners, logs, memory and disk budgets, processes.
package app
