package proxy

import (
	"errors"
	"net/http"
	"slices"

	"spillway/proxy/httpfield"
)

// ErrorPage is what answers in place of an error's built-in page, nginx's error_page.
type ErrorPage struct {
	Codes []int // statuses of the errors
	// What answers: a path, with or without a query; "@name", a named location; or a URL, to which the client is sent.
	To     *Template
	Status int // that the client gets: 0 is the error's, OwnStatus that of what answers, else this one
}

// OwnStatus as the Status of an ErrorPage is the status of what answers, nginx's "=" without a code.
const OwnStatus = -1

// ErrorPage returns the error page for a status, nil without one.
func (r *Route) ErrorPage(status int) *ErrorPage {
	for i := range r.ErrorPages {
		if page := &r.ErrorPages[i]; slices.Contains(page.Codes, status) {
			return page
		}
	}
	return nil
}

// errorPage returns the location that answers for an error. As in nginx without recursive_error_pages, the page of an error is
// looked for once in an exchange.
func (f *Front) errorPage(ex *Exchange, err error) (*Route, error) {
	failed := asStatus(err)
	if ex.hop.paged || ex.Route == nil || failed.Code == StatusClientGone {
		return nil, err
	}
	ex.hop.paged = true
	page := ex.Route.ErrorPage(failed.Code)
	if page == nil {
		return nil, err
	}
	to := string(page.To.Append(nil, ex))
	if to != "" && to[0] == '@' && (ex.hop.bodyGone || ex.Body == nil && ex.BodyLength != 0) {
		return nil, err // the location would get another request than the client's, of which the body is gone or was not asked for
	}
	ex.forget(err)
	ex.note(failed)
	ex.hop.status = failed.Code
	if page.Status != 0 {
		ex.hop.status = max(page.Status, 0)
	}
	if to == "" || to[0] != '/' && to[0] != '@' {
		ex.sendElsewhere(to)
		return nil, nil
	}
	return f.redirect(ex, &RedirectError{To: to, About: []any{"exchange", ex}})
}

// asStatus returns what an error tells the client: a StatusError's status, else 500.
func asStatus(err error) *StatusError {
	failed := &StatusError{}
	if !errors.As(err, &failed) {
		failed = &StatusError{Code: http.StatusInternalServerError, Cause: CauseInternal, Err: err}
	}
	return failed
}

// sendElsewhere makes the response a redirect of the client.
func (ex *Exchange) sendElsewhere(url string) {
	switch ex.hop.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		ex.hop.status = http.StatusFound
	}
	ex.setPage(ex.hop.status, "")
	ex.Response.Set("Location", string(httpfield.Clean([]byte(url), 0)))
	ex.arrive()
}
