// Package control is how the command line speaks to the spillway that runs: HTTP/1.1 and JSON over a unix socket or, on
// Windows, a named pipe.
//
// A Place says where the instance of a configuration is found. It follows from the path of the configuration file alone, so
// the command line finds the instance also when the file is broken now. There is at most one instance for each
// configuration: Listen takes a lock that the system gives back when the process ends, however it ends. On Unix that is
// flock on a file beside the socket, so a socket that a crash has left is taken over; on Windows it is a mutex with a
// name.
//
// Who may speak to it: on Unix its own account and root (the socket has mode 0600), on Windows its own account,
// administrators and SYSTEM, from this machine only.
//
// What is done is in Handlers. The package knows neither the configuration nor the server.
package control
