// Package health probes the peers of a group and tells them the verdict (upstream.Peer.SetHealth).
//
// A Checker has one goroutine for its group, which begins the probes that are due; each probe has one more while it lasts. The
// times are jittered, so that peers are not probed in step. After Options.Fails failures in a row a peer is unhealthy, after
// Options.Passes successes healthy again; each change is one line in the log.
//
// A Probe asks a peer once: TCP connects, NewProbe sends a Request and compares the answer with a Match. HTTP is asked by
// go-retryablehttp, all other languages by their upstream.Protocol, on connections of their own. Ask is for those who only want
// the answer.
//
// A probe takes a slot of the peer, as a request does. When none is free, the peer is alive by the requests that it answers, and
// the probe is skipped; that one of them takes too long is for read_timeout and busy_timeout to find out. Skipped as well are the
// probes that say nothing about the peer: its process ended meanwhile, or this side has no socket left.
//
// Nobody is asked whose process does not serve. The package starts and ends no processes, and chooses no peers.
package health
