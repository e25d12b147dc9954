package proxy

// Site is one server of the configuration: a set of host names.
type Site struct {
	Name string // the first server_name; shown in logs as "server:" and to applications as SERVER_NAME
}

// Route is one location of a site: a path rule, its limits and its handler.
type Route struct {
	Site    *Site
	Path    string  // the location's path, as configured
	Handler Handler // answers; nil: 404
	MaxBody int64   // client_max_body_size in bytes; 0 is no limit

	Internal   bool // reached by internal redirects only; named locations are
	ErrorPages []ErrorPage
	AddHeader  []AddedField
	LimitRate  int64 // limit_rate in bytes per second; 0 is no limit
	LimitAfter int64 // limit_rate_after in bytes
}

// tooLarge says whether a body of the declared length is beyond the limit; -1 is no declared length.
func (r *Route) tooLarge(length int64) bool { return r.MaxBody > 0 && length > r.MaxBody }
