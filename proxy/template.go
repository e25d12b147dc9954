package proxy

import (
	"fmt"
	"slices"
	"strings"
)

// Template is a text with variables in it, such as a log format or the value of a header: nginx's "complex value". Any
// number of goroutines may use it.
type Template struct {
	only  variable // if the whole text is a variable; else nil
	parts []part
	fixed int // bytes of all text between the variables
}

// part is a piece of text, which may be empty, and the variable behind it.
type part struct {
	text  string
	value variable // nil: none, at the end of a template
	plain bool     // there is nothing to escape in the value
}

// CompileTemplate reads a text with variables in nginx's grammar: $name or ${name}. The error names an unknown variable
// and the nearest one that there is.
func CompileTemplate(text string) (*Template, error) {
	known := variables()
	t := &Template{}
	for text != "" {
		plain, rest, found := strings.Cut(text, "$")
		t.fixed += len(plain)
		if !found {
			t.parts = append(t.parts, part{text: plain})
			break
		}
		name, after, err := variableName(rest)
		if err != nil {
			return nil, err
		}
		lower := strings.ToLower(name)
		value := known[lower]
		if value == nil {
			value = namedVariable(lower)
		}
		if value == nil {
			return nil, unknownVariable(name, known)
		}
		t.parts = append(t.parts, part{text: plain, value: value, plain: isPlain(lower)})
		text = after
	}
	if len(t.parts) == 1 && t.fixed == 0 {
		t.only = t.parts[0].value
	}
	return t, nil
}

// variableName splits what follows a $ into the variable's name and the rest.
func variableName(text string) (name, rest string, err error) {
	inner, braced := strings.CutPrefix(text, "{")
	end := 0
	for end < len(inner) && isNameByte(inner[end]) {
		end++
	}
	name, rest = inner[:end], inner[end:]
	if braced {
		after, closed := strings.CutPrefix(rest, "}")
		if !closed {
			return "", "", fmt.Errorf("variable \"${%s\": the closing brace is missing", name)
		}
		rest = after
	}
	if name == "" {
		return "", "", fmt.Errorf("no variable name after \"$\" in %q", "$"+text)
	}
	return name, rest, nil
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// unknownVariable is the error for a name that is not among the known ones.
func unknownVariable(name string, known map[string]variable) error {
	best, distance := "", len(name)/2+1
	for candidate := range known {
		d := editDistance(strings.ToLower(name), candidate)
		if d < distance || d == distance && best != "" && candidate < best {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return fmt.Errorf("unknown variable \"$%s\"", name)
	}
	return fmt.Errorf("unknown variable \"$%s\"; did you mean $%s?", name, best)
}

// editDistance is the Levenshtein distance of two names.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// IsConstant says that the template has no variables, so that it is the same for every exchange.
func (t *Template) IsConstant() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.value != nil })
}

// Fixed returns how many bytes of text the template has beside its variables.
func (t *Template) Fixed() int { return t.fixed }

// Append appends the text with the values of ex; a variable without a value is nothing, as in a header. It does not
// allocate but to grow dst, for the first $request_id of an exchange and for $sent_http_set_cookie.
func (t *Template) Append(dst []byte, ex *Exchange) []byte {
	if t.only != nil {
		dst, _ = t.only(dst, ex)
		return dst
	}
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		if p.value != nil {
			dst, _ = p.value(dst, ex)
		}
	}
	return dst
}

// AppendEscaped is Append for logs: a variable without a value is missing, and escape is called after each value but those of plain
// variables, to rewrite line[from:], where it stands.
func (t *Template) AppendEscaped(
	dst []byte, ex *Exchange, missing string, escape func(line []byte, from int) []byte,
) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		if p.value == nil {
			break
		}
		line, found := p.value(dst, ex)
		switch {
		case !found:
			dst = append(dst, missing...)
		case p.plain:
			dst = line
		default:
			dst = escape(line, len(dst))
		}
	}
	return dst
}
