package http1_test

import (
	"testing"

	"spillway/upstream"
	"spillway/upstream/http1"
	"spillway/upstream/upstreamtest"
)

func TestProtocol_Contract(t *testing.T) {
	upstreamtest.RunContract(t, upstreamtest.HTTP{}, func() upstream.Protocol {
		return http1.New(http1.Options{KeepAlive: true})
	})
}
