package fastcgi_test

import (
	"testing"

	"spillway/upstream"
	"spillway/upstream/fastcgi"
	"spillway/upstream/upstreamtest"
)

func TestProtocol_Contract(t *testing.T) {
	upstreamtest.RunContract(t, upstreamtest.FastCGI{}, func() upstream.Protocol {
		return fastcgi.New(fastcgi.Options{KeepConn: true})
	})
}
