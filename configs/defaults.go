package configs

import (
	"path/filepath"
	"time"
)

// All defaults are in this file; examples/full.yaml documents them, and a test holds the two together. A default without
// a reason beside it is nginx's.

// DefaultSettings returns the settings of a location for which a file says nothing. Derive must follow,
// when the values of the file are in.
func DefaultSettings() Settings {
	return Settings{
		Buffering: Buffering{On: true, BufferSize: 8 * KiB, Buffers: Buffers{8, 8 * KiB}, MaxTempFileSize: 1 * GiB},
		// nginx's buffer on 64-bit systems.
		Request:        Request{Buffering: true, MaxSize: 1 * MiB, BufferSize: 16 * KiB},
		Response:       Response{Redirect: Redirect{Default: true}},
		Retry:          Retry{On: []string{"error", "timeout"}},
		ConnectTimeout: Duration(60 * time.Second),
		SendTimeout:    Duration(60 * time.Second),
		ReadTimeout:    Duration(60 * time.Second),
		// nginx needs three lines for it in each location; who runs a WebSocket application wants it.
		Upgrade: true,
	}
}

// DefaultClient returns the client side of a server for which a file says nothing.
func DefaultClient() Client {
	return Client{
		// nginx waits 60 s; no honest client needs so long for a head, and each slow one holds a connection.
		HeaderTimeout:    Duration(15 * time.Second),
		BodyTimeout:      Duration(60 * time.Second),
		SendTimeout:      Duration(60 * time.Second),
		KeepaliveTimeout: Duration(75 * time.Second),
		// nginx has 1000; a closed connection costs a client on the same machine an ephemeral port.
		KeepaliveRequests: 10000,
	}
}

// DefaultConfig returns a configuration without servers and upstreams; dir is absolute.
func DefaultConfig(dir string) Config {
	return Config{
		Dir:       dir,
		AccessLog: AccessLog{Path: filepath.Join(dir, "logs", "access.log"), Format: "combined"},
		// nginx writes from error on; a spill to disk is a warning, and nobody should have to look for it.
		ErrorLog:        ErrorLog{Path: filepath.Join(dir, "logs", "error.log"), Level: "warn", Format: "nginx"},
		Resolver:        DefaultResolver(),
		TempPath:        filepath.Join(dir, "temp"),
		MemoryBudget:    256 * MiB,
		TempBudget:      8 * GiB,
		ShutdownTimeout: Duration(30 * time.Second),
		Why:             defaultWhy(),
	}
}

// DefaultResolver returns the resolver for which a file says nothing.
func DefaultResolver() Resolver {
	// nginx waits 30 s in all and asks again after 5 s; nothing here waits for a lookup but the start.
	return Resolver{Timeout: Duration(5 * time.Second), IPv6: true}
}

// DefaultUpstream returns an upstream without peers and backend.
func DefaultUpstream(name string) Upstream {
	return Upstream{
		Name:     name,
		Protocol: HTTP,
		// nginx has 1.0 up to 1.29.6, and 1.1 since.
		HTTPVersion: "1.1",
		Method:      Method{Name: RoundRobin},
		// An idle connection owns the only thread of a simple process; nginx keeps 32 since 1.29.7, none before.
		Keepalive:         0,
		KeepaliveTimeout:  Duration(60 * time.Second),
		KeepaliveRequests: 1000,
		MaxFails:          1,
		FailTimeout:       Duration(10 * time.Second),
		RetryBudget:       DefaultRetryBudget(),
		PoisonGuard:       DefaultPoisonGuard(),
	}
}

// DefaultSticky returns what a section sticky does not say. In nginx the cookie has no path, and a client has one for each folder.
func DefaultSticky() Sticky { return Sticky{Path: "/"} }

// DefaultHealth returns what a section health does not say. Interval and Match are those of nginx's health_check, which has 1 for
// fails and passes: one answer that was lost would put a peer out of use.
func DefaultHealth() Health {
	return Health{
		Probe: ProbeRequest, Path: "/", Interval: Duration(5 * time.Second), Timeout: Duration(2 * time.Second),
		Fails: 3, Passes: 2, Match: Match{Status: []StatusRange{{200, 399}}},
	}
}

// DefaultPeer returns a peer of u without an address.
func DefaultPeer(u *Upstream) Peer {
	return Peer{Weight: 1, MaxFails: u.MaxFails, FailTimeout: u.FailTimeout, MaxConns: u.MaxConns, SlowStart: u.SlowStart}
}

// DefaultBackend returns a backend without a command, in the folder dir. nginx has no processes, so nothing here is its.
func DefaultBackend(dir string) Backend {
	return Backend{
		Directory: dir,
		Processes: Processes{Min: 8, Max: 8},
		// A cold start of Python or PHP with a virus scanner takes seconds, seldom ten.
		Ready:       Ready{Timeout: Duration(30 * time.Second)},
		StopSignal:  "term",
		StopTimeout: Duration(10 * time.Second),
		// A process that ends now and then is back at once; one that ends at its start does not use up the machine.
		BackoffMin: Duration(100 * time.Millisecond),
		BackoffMax: Duration(30 * time.Second),
	}
}

// DefaultQueue returns the queue of an upstream with a limit: with a backend or a concurrency.
func DefaultQueue() Queue {
	// Passenger has 100, IIS 1000; one that waits costs a few kilobytes. A browser gives up after a minute or two.
	// A quarter for one client leaves room for others, and for what stands behind one address: an office, or another proxy.
	// The reserve is two of eight processes.
	return Queue{Length: 1000, Timeout: Duration(60 * time.Second), PerClient: perClient(1000), Reserve: 25}
}

// perClient is a client's share of a queue of that length, where the file does not say it.
func perClient(length int) int { return max(length/4, 1) }

// DefaultRetryBudget returns Envoy's numbers; nginx has no bound.
func DefaultRetryBudget() RetryBudget { return RetryBudget{Percent: 20, Min: 3} }

// DefaultPoisonGuard returns the guard of an upstream: one end of a process may be chance, and after a minute somebody may have
// mended what was wrong. nginx has none.
func DefaultPoisonGuard() PoisonGuard { return PoisonGuard{Kills: 2, Hold: Duration(60 * time.Second)} }

// DefaultHoldTimeout is how long requests wait for a process of a backend: as long as one may take to be ready.
const DefaultHoldTimeout = Duration(30 * time.Second)

// dynamicProcesses returns a number of processes that changes; the values are php-fpm's.
func dynamicProcesses(least, most int) Processes {
	return Processes{
		Min: least, Max: most,
		SpareMin: min(1, least), SpareMax: min(3, most), // with a least of 0 nothing runs while nobody asks
		Idle: Duration(10 * time.Second),
	}
}

// defaultWhy returns what is kept of failures: most of a bad night, for the memory of a few connections.
func defaultWhy() Why { return Why{Keep: 1000, Memory: 4 * MiB, Header: true} }

// defaultRotate returns what a section rotate does not say; it has to say when.
func defaultRotate() Rotate { return Rotate{Keep: 10, Compress: true} }
