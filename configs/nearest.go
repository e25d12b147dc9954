package configs

import (
	"slices"
	"strings"
)

// didYouMean returns "; did you mean X?" for the name of known that is nearest to s, or nothing when none is near.
func didYouMean(s string, known []string) string {
	if best := nearest(s, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// nearest returns the name of known with the fewest typing mistakes between it and s, the first one of equals, or "" when
// more than a third of the letters differ. A name that is the beginning of the other is near.
func nearest(s string, known []string) string {
	s = strings.ToLower(s)
	if len(s) > 64 {
		return "" // no known name is near, and the distance costs time in the square of the length
	}
	best, least := "", max(1, len(s)/3)+1
	for _, name := range known {
		d := distance(s, strings.ToLower(name))
		if len(s) > 2 && len(name) > 2 && (strings.HasPrefix(s, name) || strings.HasPrefix(name, s)) {
			d = 1 // warning for warn, or err for error
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// nearestKey is nearest for keys: it also knows them by nginx's full name, such as fastcgi_buffers for buffers.
func nearestKey(key string, known []string) string {
	for _, module := range []string{"proxy_", "fastcgi_", "scgi_", "uwsgi_"} {
		if bare, ok := strings.CutPrefix(key, module); ok {
			if slices.Contains(known, bare) {
				return bare
			}
			key = bare
		}
	}
	return nearest(key, known)
}

// distance counts insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(previous[j]+cost, previous[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, previous = previous, row
	}
	return previous[len(b)]
}
