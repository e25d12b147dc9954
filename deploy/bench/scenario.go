package main

import (
	"fmt"
	"slices"
	"strings"
)

// A scenario is one kind of traffic to peers of one protocol.
type scenario struct {
	kind     string
	protocol string
	about    string  // for the report
	size     int     // of a response's body, in bytes
	post     int     // of a request's body, in bytes; 0 is a GET without one
	conns    int     // clients
	slow     int     // clients besides, with a slow line
	rate     float64 // requests per second, over all clients but the slow ones; 0: as many as they can
	fresh    bool    // each request has a connection of its own
	idle     bool    // the clients ask once, and stay connected
	noLog    bool    // no access log
	tls      bool    // the clients speak TLS

	certificate string // of the proxies, with its key: a file; set when the scenario is to be measured; empty without TLS
}

func (s *scenario) name() string { return s.kind + "-" + s.protocol }

// kilobyte is what a small answer of an application has, where a proxy's own work weighs most.
const kilobyte = 1024

// scenarios are all that there are, in the order of the report.
func scenarios() []scenario {
	kinds := []scenario{
		{kind: "small", about: "1 KB, 64 clients", size: kilobyte, conns: 64},
		{kind: "nolog", about: "the same without access log", size: kilobyte, conns: 64, noLog: true},
		{kind: "quiet", about: "1 KB, 64 clients, 200 requests/s of all together", size: kilobyte, conns: 64, rate: 200},
		{kind: "many", about: "1 KB, 2,000 clients", size: kilobyte, conns: 2000},
		{kind: "fresh", about: "1 KB, 64 clients, a new connection for each request", size: kilobyte, conns: 64, fresh: true},
		{kind: "medium", about: "100 KB, 64 clients", size: 100 * kilobyte, conns: 64},
		{kind: "large", about: "10 MB, 64 clients", size: 10 * kilobyte * kilobyte, conns: 64},
		{kind: "post", about: "POST of 1 KB, 64 clients", size: kilobyte, post: kilobyte, conns: 64},
		{kind: "upload", about: "POST of 1 MB, 64 clients", size: kilobyte, post: kilobyte * kilobyte, conns: 64},
		{
			kind: "slow", about: "1 MB, 100 slow clients, and 20 requests/s of others", size: kilobyte * kilobyte,
			conns: 8, rate: 20, slow: 100,
		},
		{kind: "idle", about: "10,000 idle clients", size: kilobyte, conns: 10000, idle: true},
	}
	var all []scenario
	for _, s := range kinds {
		for _, s.protocol = range []string{"http", "fastcgi"} {
			all = append(all, s)
		}
	}
	// What TLS costs has nothing to do with the protocol of the peers.
	return append(all,
		scenario{kind: "tls", protocol: "http", about: "1 KB, 64 clients, TLS 1.3", size: kilobyte, conns: 64, tls: true},
		scenario{kind: "freshtls", protocol: "http", about: "the same, a new connection for each request", size: kilobyte, conns: 64, fresh: true, tls: true},
	)
}

// choose finds scenarios by a list of names; the empty one is all.
func choose(list string) ([]scenario, error) {
	all := scenarios()
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name() == name }) {
			var names []string
			for i := range all {
				names = append(names, all[i].name())
			}
			return nil, fmt.Errorf("no case %q; there are: %s", name, strings.Join(names, " "))
		}
	}
	return slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(wanted, s.name()) }), nil
}
