//go:build unix

package downstream_test

import (
	"errors"
	"io"
	"testing"

	"spillway/proxy"
)

// Wine shows a reset as the end of the stream, so this is not tested there.

// TestListener_ResetsWhatWasCut: a body that ends with the connection and was cut does not look complete.
func TestListener_ResetsWhatWasCut(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
	}{{"whole", nil}, {"cut", errors.New("peer lost")}} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(ex *proxy.Exchange) error {
				ex.Response.SetStatusCode(200)
				ex.Content, ex.Length = &content{pieces: []string{"half"}, err: tt.err}, -1
				return nil
			}, nil)
			c := s.connect()
			c.send("GET / HTTP/1.0\r\n\r\n")
			if _, err := io.ReadAll(c); (err != nil) != (tt.err != nil) {
				t.Errorf("got %v, want an error exactly for the cut body", err)
			}
		})
	}
}
