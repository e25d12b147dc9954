package configs

import "strings"

// Template is a text with nginx's $variables. Every value that has them is of this type and is read by template, which notes it
// in Config.Templates: whoever knows the variables checks those, and no key can be forgotten.
type Template string

// WrittenTemplate is a Template as it is written in the file, whether a location uses it or not.
type WrittenTemplate struct {
	Text  Template
	Place Place
}

// TemplateField is one header field or CGI variable, in the order of the file.
type TemplateField struct {
	Name  string
	Value Template
}

// Replacement is what a text begins with or is, and what it becomes.
type Replacement struct {
	From, To Template
}

// template notes a text that was read from n.
func (r *reader) template(n *node, text string) Template {
	t := Template(text)
	r.templates = append(r.templates, WrittenTemplate{t, n.place})
	return t
}

// templateText reads one value that may have $variables.
func (r *reader) templateText(n *node) (Template, bool) {
	s, ok := r.text(n)
	if !ok {
		return "", false
	}
	return r.template(n, s), true
}

// templateFields reads names with texts that may have $variables, in the order of the file.
func (r *reader) templateFields(n *node) ([]TemplateField, bool) {
	fields, ok := r.fields(n)
	if !ok {
		return nil, false
	}
	var all []TemplateField
	for _, f := range fields {
		all = append(all, TemplateField{f.Name, r.template(n.get(f.Name), f.Value)})
	}
	return all, true
}

// headerFields is templateFields for the fields of a head.
func (r *reader) headerFields(n *node) ([]TemplateField, bool) {
	all, ok := r.templateFields(n)
	for _, f := range all {
		if !validFieldName(f.Name) {
			r.refuse(n.get(f.Name), "%s is no name of a header field", quote(f.Name))
			ok = false
		}
	}
	return all, ok
}

// replacements reads what is replaced by what. nginx's regular expressions there are not for here.
func (r *reader) replacements(n *node) ([]Replacement, bool) {
	fields, ok := r.fields(n)
	var all []Replacement
	for _, f := range fields {
		at := n.get(f.Name)
		if strings.HasPrefix(f.Name, "~") {
			r.refuse(at, "regular expressions are not supported here; want a text that is replaced")
			ok = false
		}
		all = append(all, Replacement{r.template(at, f.Name), r.template(at, f.Value)})
	}
	return all, ok
}
