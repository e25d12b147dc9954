//go:build unix

package upstreamtest

// resetText is a part of the text of a connection that the peer has reset.
func resetText() string { return "() failed (" }
