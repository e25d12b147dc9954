// Package proxy is the path of one request: route it, run its handler, finish it.
//
// # The map
//
// upstream knows who can answer and how to talk to them. balancer knows which of them answers this time. buffering holds
// a body between a fast side and a slow side. proxy carries one exchange from the client to a peer and back. This root
// package holds the vocabulary (Exchange, Handler, Content, Site, Route, Front); its children import it and never each
// other. One composition root, cmd/spillway/internal/app, wires them; only it imports configs.
//
// # The journey of one request
//
//  1. Accept: proxy/downstream/listen.go. On Linux a loop waits for all clients and peers at once (upstream/socket/loop.go), and
//     a task takes a turn with a client that has sent something (proxy/downstream/turn.go), by way of a layer if it speaks TLS
//     (proxy/downstream/secure.go); fasthttp parses the head.
//  2. Adapt: proxy/downstream/h1.go refuses what is malformed (proxy/downstream/guard.go) and fills an Exchange. From
//     here on nothing knows the client's HTTP version.
//  3. Route: proxy/serve.go asks proxy/routing/table.go. A location may leave the answer to another one, as it began or
//     when a peer or an error page says so: proxy/redirect.go, and from 4 on again.
//  4. Prepare: proxy/headers.go holds the limits of the route, and the fields that must not go further
//     (proxy/httpfield/hop.go).
//  5. Hold the request body: proxy/relay/request.go with buffering/body.go: a slow sender never occupies a process.
//  6. Pick and lease: proxy/relay/attempt.go asks a balancer/picker.go for a peer with a free slot (upstream/slot.go)
//     that neither failures nor probes (upstream/health/checker.go) speak against, and upstream/lease.go for a
//     connection to it: an idle one, or a new one. When all slots are in use, or the processes are on their way,
//     proxy/relay/wait.go joins upstream/queue.go, and the request waits its turn (upstream/lane.go). Which peers there
//     are is a matter of the moment (upstream/members.go): those that are host names come and go with what DNS says
//     (upstream/resolve/follower.go), and no request waits for a lookup.
//  7. Speak: upstream/http1, upstream/fastcgi, upstream/scgi or upstream/uwsgi sends the request and receives the head. On
//     failure proxy/relay/retry.go goes back to 6, if the budget allows it (upstream/budget.go) and the request is not what
//     ends processes (proxy/relay/poison.go), or to proxy/errors.go.
//  8. Carry, pump and spill: proxy/relay/response.go. A small response goes to the client in one write with its head. A larger
//     one is carried piece by piece as long as the client keeps up. When it does not, the rest goes through buffering/pipe.go:
//     filled at the peer's speed, first in memory, then in the spill file; delivered at the client's speed. The connection to the peer is given back with the peer's last byte. After a 101 both
//     connections belong to another protocol until the end: proxy/relay/tunnel.go and proxy/downstream/tunnel.go.
//  9. Finish: proxy/finish.go, exactly once, whatever happened: buffers to the arena, access log, metrics.
//
// An exchange in which something fails is an incident (proxy/incident.go): it gets an id, which the client and the logs have.
// proxy/relay/incident.go notes what its upstream is like at that moment, and after Finish proxy/why/store.go keeps it, to tell
// who asks for the id, together with what became of the processes.
//
// Both sides read, write and wait through upstream/socket. What is about to wait for something else, a queue, a disk, a clock, or needs a
// second goroutine, leaves the loop first (Exchange.Task). What goes wrong on the way is one record of log/slog each;
// proxy/errorlog gives it nginx's words, and proxy/logfile takes lines without ever blocking a request.
//
// # Interfaces
//
// The list is complete: upstream.Protocol, balancer.Picker, Handler and Content. Another one needs two real
// implementations.
//
// # What it does not do
//
// It does not read configuration, does not know which protocol the client or the peer speaks, and holds no global state.
package proxy
