package configs

import (
	"slices"
	"strings"
)

// errorPages looks for named locations that the server does not have.
func (k *checker) errorPages(s *Server, l *Location) {
	var names []string
	for i := range s.Locations {
		if strings.HasPrefix(s.Locations[i].Path, "@") {
			names = append(names, s.Locations[i].Path)
		}
	}
	at := l.Settings.Places.At("error_page")
	for _, page := range l.Settings.Response.ErrorPages {
		to := string(page.To)
		if !strings.HasPrefix(to, "@") || slices.Contains(names, to) {
			continue
		}
		hint := didYouMean(to, names)
		if hint == "" {
			hint = "; write it, such as {path: " + quote(to) + ", pass: NAME}"
		}
		k.refuse(at, "the server of location %s has no location %s%s", quote(l.Path), quote(to), hint)
	}
}
