package configs

// kindNames are the words of the key kind; generic is a program of which nothing is known.
func kindNames() []string {
	return []string{"php-cgi", "flup", "waitress", "gunicorn", "uwsgi", "tornado", "gevent", "flask", "django", "generic"}
}

func (r *reader) kind(n *node) (string, bool) {
	s, ok := word(kindNames(), nil)(r, n)
	if s == "generic" {
		s = ""
	}
	return s, ok
}
