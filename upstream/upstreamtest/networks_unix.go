//go:build unix

package upstreamtest

// networks are those of the contract.
func networks() []string { return []string{"tcp", "unix"} }
