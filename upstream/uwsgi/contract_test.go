package uwsgi_test

import (
	"testing"

	"spillway/upstream"
	"spillway/upstream/upstreamtest"
	"spillway/upstream/uwsgi"
)

func TestProtocol_Contract(t *testing.T) {
	upstreamtest.RunContract(t, upstreamtest.UWSGI{}, func() upstream.Protocol { return uwsgi.New(uwsgi.Options{}) })
}
