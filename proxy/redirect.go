package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"spillway/proxy/httpfield"
)

// A location may leave the answer to another one, nginx's internal redirect:
//
//  1. its handler returns a RedirectError, or an error for which the location has an error page (errorpage.go);
//  2. goOn turns the request into one for the other location: a GET of the new URI, or as it is for a named location;
//  3. serve runs that location, with the fields that the first handler had kept for the client, and so on, ten times at most.
//
// To the client, the logs and the metrics it stays one exchange.

// RedirectError is the error of a handler that has given up the response in favour of another location's. What the handler has put
// into the response is dropped, but for what it has given to Keep.
type RedirectError struct {
	To    string // a path, encoded as in a URL, with its query; or "@name", a named location of the same server
	About []any  // attributes of a log line about it, the exchange among them
}

// Error says where to.
func (r *RedirectError) Error() string { return "internal redirect to " + r.To }

// maxRedirects is nginx's NGX_HTTP_MAX_URI_CHANGES.
const maxRedirects = 10

// hop is what an exchange needs on its way from one location to the next; most exchanges do not.
type hop struct {
	count    uint8  // internal redirects so far
	paged    bool   // an error page was looked for; there is one for each exchange at most
	status   int    // of the error page, in place of the response's; 0 is the response's own
	asked    []byte // the method of the client, if it is not Method any more
	kept     []KeptField
	body     io.Closer // the request body, held for the next location
	rated    bool      // a peer has set LimitRate
	bodyGone bool      // the request body cannot be read any more
}

// KeptField is a field of a response that was given up.
type KeptField struct{ Name, Value string }

// Hops returns how many internal redirects have led to the present location.
func (ex *Exchange) Hops() int { return int(ex.hop.count) }

// AskedMethod is the method that the client sent; Method may be another one after an internal redirect.
func (ex *Exchange) AskedMethod() []byte {
	if ex.hop.asked != nil {
		return ex.hop.asked
	}
	return ex.Method
}

// PeerTarget is the request-target for peers, in origin-form: Target, unless an internal redirect has led elsewhere.
func (ex *Exchange) PeerTarget() []byte {
	if ex.forward != nil {
		return ex.forward
	}
	return ex.Target
}

// Limit sets LimitRate by the word of a peer: it holds for whatever location answers in the end.
func (ex *Exchange) Limit(rate int64) { ex.LimitRate, ex.hop.rated = rate, true }

// Keep keeps a field of a response that is about to be given up: it is in the final response, too.
func (ex *Exchange) Keep(name, value []byte) {
	ex.hop.kept = append(ex.hop.kept, KeptField{string(name), string(value)})
}

// KeepBody hands over the request body, which a handler that fails or redirects has read, to the location that may answer in its
// place. body is closed when another one is kept, or in Finish. nil: the body cannot be read again.
func (ex *Exchange) KeepBody(body io.ReadCloser, length int64) {
	ex.dropBody()
	if body == nil {
		ex.hop.bodyGone = true
		return
	}
	ex.hop.body = body
	ex.Body, ex.BodyLength, ex.RequestBytes = body, length, 0 // who reads it counts it again
}

func (ex *Exchange) dropBody() {
	if ex.hop.body != nil {
		_ = ex.hop.body.Close()
	}
	ex.hop.body, ex.Body, ex.BodyLength = nil, nil, 0
}

// goOn returns the location that answers in place of the one that has ended with err; without one, the error that the client
// is told, nil when the response is there.
func (f *Front) goOn(ex *Exchange, err error) (*Route, error) {
	if to, ok := errors.AsType[*RedirectError](err); ok {
		ex.forget(err)
		return f.redirect(ex, to)
	}
	return f.errorPage(ex, err)
}

// forget drops the response that was there.
func (ex *Exchange) forget(err error) {
	if ex.Content != nil {
		_ = ex.Content.Close(err)
		ex.Content = nil
	}
	ex.ResetResponse()
}

// ResetResponse empties the response, but for those fields that are kept besides those of the response that is to come.
func (ex *Exchange) ResetResponse() {
	ex.Response.Reset()
	for _, f := range ex.hop.kept {
		if several(f.Name) {
			ex.Response.Add(f.Name, f.Value)
		}
	}
}

// redirect turns the request into one for another location. The URI may be a peer's, or have what a variable of the client has
// brought into that of an error page.
func (f *Front) redirect(ex *Exchange, r *RedirectError) (*Route, error) {
	if r.To != "" && r.To[0] == '@' {
		return f.redirectNamed(ex, r)
	}
	path, query, err := parseURI(r.To)
	if err != nil {
		ex.Log().Error("unsafe redirect", append(r.About, "target", string(path))...)
		return nil, &StatusError{Code: http.StatusNotFound, Err: err}
	}
	if !ex.mayRedirect(r, "internally redirecting to", string(path)) {
		return nil, errCycle
	}
	if !ex.Head() {
		if ex.hop.asked == nil {
			ex.hop.asked = ex.Method
		}
		ex.Method = []byte(http.MethodGet)
	}
	ex.dropBody()
	ex.Path, ex.Query = path, query
	ex.forward = appendEscaped(nil, path)
	if len(query) > 0 {
		ex.forward = append(append(ex.forward, '?'), query...)
	}
	route, ok := f.routes.Find(ex.Host, ex.Path)
	if !ok {
		return nil, &StatusError{Code: http.StatusNotFound}
	}
	return route, nil
}

func (f *Front) redirectNamed(ex *Exchange, r *RedirectError) (*Route, error) {
	if !ex.mayRedirect(r, "redirect to named location", r.To) {
		return nil, errCycle
	}
	route, ok := f.routes.Named(ex.Host, r.To)
	if !ok {
		ex.Log().Error("no named location", append(r.About, "target", r.To)...)
		return nil, &StatusError{Code: http.StatusInternalServerError, Cause: CauseInternal}
	}
	return route, nil
}

// errCycle ends an exchange after too many redirects.
var errCycle = &StatusError{
	Code: http.StatusInternalServerError, Cause: CauseInternal, Err: errors.New("rewrite or internal redirection cycle"),
}

// mayRedirect counts a redirect. The one too many is logged.
func (ex *Exchange) mayRedirect(r *RedirectError, doing, to string) bool {
	if ex.hop.count == maxRedirects {
		ex.Log().Error("redirection cycle", append(r.About, "doing", doing, "target", to)...)
		ex.hop.paged = true
		return false
	}
	ex.hop.count++
	return true
}

// arrive completes the response of the location that answers in the end.
func (ex *Exchange) arrive() {
	switch ex.Status() {
	case http.StatusSwitchingProtocols:
	case http.StatusNotModified: // the client has the page
	case http.StatusNoContent:
		ex.Length = 0 // any other status has a body
		fallthrough
	default:
		if ex.hop.status != 0 {
			ex.Response.SetStatusCode(ex.hop.status)
		}
	}
	for _, f := range ex.hop.kept {
		if !several(f.Name) && !ex.hasField(f.Name) {
			ex.Response.Add(f.Name, f.Value)
		}
	}
}

// several says whether a kept field and one of the final response are both sent, as in nginx, the kept one first. Of the others
// one is enough.
func several(name string) bool {
	return httpfield.Is([]byte(name), "set-cookie") || httpfield.Is([]byte(name), "cache-control")
}

func (ex *Exchange) hasField(name string) bool {
	for field := range ex.Response.All() {
		if strings.EqualFold(string(field), name) {
			return true
		}
	}
	return false
}
