package configs

// Response is what becomes of a response on its way to the client.
type Response struct {
	HideHeader    []string // fields of the peer that the client does not get, besides those that nginx hides
	PassHeader    []string // fields that nginx hides and the client gets even so
	IgnoreHeaders []string // nginx's names of fields that do nothing here, such as X-Accel-Redirect

	Redirect     Redirect
	CookieDomain []Replacement // domains of cookies and what they become
	CookiePath   []Replacement // how paths of cookies begin, and how instead
	CookieFlags  []CookieFlags

	InterceptErrors bool        // a peer's error that has an error page is one of ours
	ErrorPages      []ErrorPage // what answers in place of an error

	AddHeader []AddedHeader

	LimitRate      Size // bytes per second that the client gets; 0 is no limit
	LimitRateAfter Size // what the client gets before that
}

// Redirect says how the URLs in Location and Refresh are rewritten, nginx's proxy_redirect.
type Redirect struct {
	Default bool          // the upstream's name and the peer's address are left out
	Rules   []Replacement // how URLs begin, and how instead; empty with Default
}

// CookieFlags is one rule of nginx's proxy_cookie_flags.
type CookieFlags struct {
	Cookie string   // its name, or "~" and a regular expression
	Flags  []string // secure, httponly, samesite=strict, samesite=lax, samesite=none, nosecure, nohttponly, nosamesite
}

// AddedHeader is a header field for the client.
type AddedHeader struct {
	Name   string
	Value  Template // an empty one is left out
	Always bool     // with every status, not only those of nginx's add_header
}

// ErrorPage is one rule of nginx's error_page.
type ErrorPage struct {
	Codes []int    // statuses, 300 to 599
	To    Template // a path, with or without a query; "@name", a location; or a URL
	// Status is what the client gets: 0 is the error's, OwnStatus that of what answers, else this one.
	Status int
}

// OwnStatus as the Status of an ErrorPage is the status of what answers, nginx's "=" without a code.
const OwnStatus = -1
