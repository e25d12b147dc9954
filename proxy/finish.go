package proxy

import (
	"net/http"
	"time"
)

// Finish ends the exchange: the front calls it exactly once, after the response has been sent or the client was lost (err
// says why), with BytesSent and BodyBytesSent set. It gives the content back and then tells the observers.
func (ex *Exchange) Finish(err error) {
	if ex.finished {
		panic("proxy: exchange finished twice")
	}
	ex.finished = true
	if ex.front != nil {
		defer ex.front.busy.Add(-1)
	}
	if ex.Content != nil {
		if cut := ex.Content.Close(err); cut != nil {
			ex.Truncated = true
		}
		ex.Content = nil
	}
	ex.dropBody()
	if err != nil {
		ex.Truncated = true
	}
	ex.End = ex.now()
	if ex.front == nil {
		return
	}
	if ex.Status() >= http.StatusInternalServerError {
		ex.Incident()
	}
	for _, observe := range ex.front.observers {
		observe(ex)
	}
}

// now returns the time. Beside that of the beginning, it asks the wall clock only after a while, in which it may have been set.
func (ex *Exchange) now() time.Time {
	if took := time.Since(ex.Start); took < time.Second {
		return ex.Start.Add(took)
	}
	return time.Now()
}
