package cgi

import (
	"bytes"
	"fmt"
	"regexp"
)

// Split is nginx's fastcgi_split_path_info: a regular expression whose first group is the script's name and whose second
// is the path info. As in nginx it works on bytes, so that letters outside ASCII never match one of ASCII without regard
// to case (the Kelvin sign is no k); unlike in nginx they match only classes such as . and [^/].
type Split struct{ expr *regexp.Regexp }

// ParseSplit compiles the expression of a fastcgi_split_path_info.
func ParseSplit(expr string) (*Split, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("split_path_info %q: %w", expr, err)
	}
	if re.NumSubexp() != 2 {
		return nil, fmt.Errorf("split_path_info %q: want two groups, script name and path info", expr)
	}
	return &Split{expr: re}, nil
}

// cut splits a path. A path that does not match is a script's name as a whole, as in nginx.
func (s *Split) cut(path []byte) (name, info []byte) {
	at := s.expr.FindSubmatchIndex(ascii(path))
	if at == nil {
		return path, nil
	}
	return part(path, at[2], at[3]), part(path, at[4], at[5])
}

// part is what a group matched; a group that took no part in the match has negative ends.
func part(path []byte, start, end int) []byte {
	if start < 0 {
		return nil
	}
	return path[start:end]
}

// ascii returns path with all bytes outside ASCII replaced by one that is no letter, at the same places.
func ascii(path []byte) []byte {
	plain := true
	for _, c := range path {
		plain = plain && c < 0x80
	}
	if plain {
		return path
	}
	masked := bytes.Clone(path)
	for i, c := range masked {
		if c >= 0x80 {
			masked[i] = 0xff // never part of valid UTF-8: the expression sees U+FFFD
		}
	}
	return masked
}

// safeScript says whether a script's name means the same file everywhere. Windows drops dots and blanks at the end of a
// name, takes what follows a colon for a stream of the file and a backslash for a slash, so that a.php. or a.php::$DATA
// reaches the file past rules that are made for a.php. The rule holds on all systems: a share may be a Windows one, and no
// site depends on such scripts.
func safeScript(name []byte) bool {
	for len(name) > 0 {
		var segment []byte
		segment, name, _ = bytes.Cut(name, []byte{'/'})
		if len(segment) == 0 {
			continue
		}
		if last := segment[len(segment)-1]; last == '.' || last == ' ' {
			return false
		}
		for _, c := range segment {
			if c < ' ' || c == 0x7f || c == ':' || c == '\\' {
				return false
			}
		}
	}
	return true
}
