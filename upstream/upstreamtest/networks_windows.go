package upstreamtest

// networks are those of the contract. Windows has unix sockets too, but Wine up to version 8, which runs these tests, has none.
func networks() []string { return []string{"tcp"} }
