// Package resolve keeps the peers of a group as DNS has them.
//
// A Resolver asks for the addresses of a name (A, AAAA), or for what serves under it (SRV), and says for how long the answer is
// good. A Follower asks again and again, as often as the answers allow, and lets the group have a peer for each address: new ones
// are added first, then those that are gone are removed. No request waits for a lookup: what was answered last serves until there
// is something better, however long DNS is silent.
//
// The messages of DNS are those of net.Resolver, which also knows the hosts file, the system's name servers, its search list,
// truncated answers and forged ones. It says nothing of how long an answer is good; so the connections that it asks by are the
// Resolver's, and a tap on them reads the TTLs (tap.go). On Windows, without servers of its own, a Resolver asks the system,
// which alone knows the rules of its networks and says no TTL: then, and for the names of the hosts file, an answer is good for
// untimed.
//
// The package does not choose among addresses, and does not probe them.
package resolve
