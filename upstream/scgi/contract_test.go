package scgi_test

import (
	"testing"

	"spillway/upstream"
	"spillway/upstream/scgi"
	"spillway/upstream/upstreamtest"
)

func TestProtocol_Contract(t *testing.T) {
	upstreamtest.RunContract(t, upstreamtest.SCGI{}, func() upstream.Protocol { return scgi.New(scgi.Options{}) })
}
