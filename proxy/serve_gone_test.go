package proxy_test

import (
	"testing"

	"spillway/proxy"
)

// What a handler wanted to stop when the client leaves may not be called once the handler has panicked.
func TestFront_APanicTakesOnGoneBack(t *testing.T) {
	stopped := 0
	f := newFixture(t, []*proxy.Route{{Site: example, Path: "/", Handler: handler(func(ex *proxy.Exchange) error {
		ex.OnGone(func() { stopped++ })
		panic("a bug")
	})}})
	f.serve("/", 0).MarkGone()
	if stopped != 0 {
		t.Errorf("got %d calls after the panic, want none", stopped)
	}
}
