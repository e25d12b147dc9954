package proxy

import (
	"errors"

	"github.com/valyala/fasthttp"
)

// errTooLarge is the error of a request body beyond client_max_body_size; the log line has been written.
var errTooLarge = errors.New("request body too large")

// prepare checks the limits of the route.
func (ex *Exchange) prepare() error {
	if limit := ex.Route.MaxBody; limit > 0 && ex.BodyLength > limit {
		ex.Log().Error("request body too large", "exchange", ex, "bytes", ex.BodyLength)
		return TooLarge()
	}
	return nil
}

// TooLarge is the error for a request body beyond client_max_body_size: 413, and the connection is closed.
func TooLarge() error {
	return &StatusError{Code: fasthttp.StatusRequestEntityTooLarge, Cause: CauseRequestBody, Err: errTooLarge}
}
