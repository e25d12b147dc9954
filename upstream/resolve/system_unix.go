//go:build unix

package resolve

import "net"

// resolver returns what asks: always Go's own resolver, which knows the system's configuration.
func (t *tap) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: t.dial}
}
