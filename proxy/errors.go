package proxy

import (
	"net/http"
	"strconv"
	"time"
)

// StatusError is an error that ends an exchange with a status of ours and its page.
type StatusError struct {
	Code  int   // 400 to 599
	Cause Cause // for the metrics
	Err   error // what happened; already logged

	Page       string        // what the page says, if the text of the status is too little
	RetryAfter time.Duration // when to come back, in whole seconds; 0: the response does not say
}

// StatusClientGone is nginx's status for a client that left before the response; it is only ever logged.
const StatusClientGone = 499

// Error returns the status and what happened.
func (e *StatusError) Error() string {
	text := strconv.Itoa(e.Code) + " " + statusText(e.Code)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what happened.
func (e *StatusError) Unwrap() error { return e.Err }

// statusText is the reason phrase on error pages, in nginx's words where they differ from RFC 9110's.
func statusText(code int) string {
	switch code {
	case http.StatusRequestEntityTooLarge:
		return "Request Entity Too Large"
	case http.StatusServiceUnavailable:
		return "Service Temporarily Unavailable"
	case http.StatusGatewayTimeout:
		return "Gateway Time-out"
	case http.StatusRequestTimeout:
		return "Request Time-out"
	case http.StatusRequestURITooLong:
		return "Request-URI Too Large"
	case http.StatusRequestHeaderFieldsTooLarge:
		return "Request Header Or Cookie Too Large"
	case StatusClientGone:
		return "Client Closed Request"
	default:
		return http.StatusText(code)
	}
}

// Page returns the body of nginx's built-in error page for a status, signed by spillway.
func Page(code int) []byte { return page(code, "", "") }

// page is Page with more to say than the status, and with the id of the incident; "" is none.
func page(code int, more, why string) []byte {
	title := strconv.Itoa(code) + " " + statusText(code)
	heading := title
	if more != "" {
		title, more = strconv.Itoa(code)+" "+more, "<center>"+more+"</center>\r\n"
	}
	if why != "" {
		why = "<center>reference " + why + "</center>\r\n"
	}
	return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + heading +
		"</h1></center>\r\n" + more + "<hr><center>spillway</center>\r\n" + why + "</body>\r\n</html>\r\n")
}

// SetError makes the response of ex the error page of err: a StatusError's status, else 500. What a handler had put into
// the response is dropped.
func (ex *Exchange) SetError(err error) {
	failed := asStatus(err)
	ex.forget(err)
	ex.setPage(failed.Code, failed.Page)
	ex.note(failed)
	ex.hop.status = 0
	ex.arrive()
	ex.addFields()
}

// setPage makes the response nginx's built-in page for a status, or one with more to say.
func (ex *Exchange) setPage(code int, more string) {
	ex.Response.SetStatusCode(code)
	ex.Response.SetContentType("text/html")
	ex.Bytes = page(code, more, ex.Told())
	ex.Length = int64(len(ex.Bytes))
}

// note notes what an error means beyond its page.
func (ex *Exchange) note(failed *StatusError) {
	if seconds := int(failed.RetryAfter / time.Second); seconds > 0 {
		ex.Keep([]byte("Retry-After"), strconv.AppendInt(nil, int64(seconds), 10))
	}
	if failed.Cause != NoCause || ex.Cause == NoCause { // an error page that is not there hides nothing
		ex.Cause, ex.Failure = failed.Cause, failed.Err
	}
	switch failed.Code {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge, StatusClientGone:
		ex.CloseClient = true
	}
}
