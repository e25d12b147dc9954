// Package why keeps what is known of exchanges in which something has failed, and says why, by the id that clients and logs
// have. It keeps the last ones, in memory, within bounds of number and bytes.
//
// A Store is told of each finished exchange, and of the processes behind the peers: when one begins to get requests, and how it
// ended. The two meet when somebody asks, because a process ends a moment after the request that it has taken with it. An
// attempt knows its process by the run of its peer, a number that no two processes have; so it is the right one that is shown,
// whoever has its port by then.
//
// What a client has sent is kept as far as an access log has it: no field, cookie or body.
//
// The package knows neither peers nor supervisors: who does, tells it.
package why
