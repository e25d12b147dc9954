package resolve

import "net"

// resolver returns what asks: Go's own resolver for servers that were named, else Windows.
func (t *tap) resolver() *net.Resolver {
	if len(t.r.servers) == 0 {
		return &net.Resolver{}
	}
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: t.dial}
}
