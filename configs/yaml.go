package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// kind is the shape of a value in the file.
type kind int

const (
	scalar  kind = iota // one text, number or word
	mapping             // keys with values
	list                // values
	empty               // a key without a value, or null
	broken              // a problem already; nothing else is said about it
)

// node is one value of the file, with its place. Only this file knows that it was YAML.
type node struct {
	place Place
	kind  kind
	text  string  // of a scalar, as written: numbers are not converted, on and off are words
	pairs []pair  // of a mapping, each key once
	items []*node // of a list
}

type pair struct {
	key   string
	value *node
}

// parseYAML reads the one document of data. With problems the tree holds what could be read, and is nil when nothing could.
func parseYAML(file string, data []byte) (tree *node, problems Problems) {
	top := Place{File: file, Line: 1}
	// yaml.v3 is no longer maintained and has known panics; a file must never end the program.
	defer func() {
		if p := recover(); p != nil {
			tree, problems = nil, Problems{top.problem("YAML: not readable: %s", quote(fmt.Sprint(p)))}
		}
	}()

	var doc, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, Problems{top.problem("the file is empty")}
	} else if err != nil {
		return nil, Problems{syntaxProblem(top, err, data)}
	}
	if len(doc.Content) == 0 {
		return nil, Problems{top.problem("the file is empty")}
	}
	b := builder{}
	tree = b.build(doc.Content[0], top)

	// yaml.v3 would silently ignore everything after a second "---".
	if err := decoder.Decode(&second); err == nil {
		b.problems = append(b.problems, Place{File: file, Line: max(1, second.Line)}.problem(
			`a second document begins here ("---"): a configuration is one document`))
	} else if !errors.Is(err, io.EOF) {
		b.problems = append(b.problems, syntaxProblem(top, err, data))
	}
	return tree, b.problems
}

// builder turns YAML nodes into ours and refuses what a configuration does not need: aliases, tags, duplicate keys.
type builder struct {
	problems Problems
}

func (b *builder) refuse(p Place, format string, args ...any) {
	b.problems = append(b.problems, p.problem(format, args...))
}

func (b *builder) build(y *yaml.Node, place Place) *node {
	n := &node{place: place, kind: empty}
	switch {
	case y.Kind == yaml.AliasNode:
		n.kind = broken
		b.refuse(place, `%s is an alias of YAML, which is not supported; write a text that begins with * in quotes`, quote("*"+y.Value))
	case y.Anchor != "":
		n.kind = broken
		b.refuse(place, `%s is an anchor of YAML, which is not supported; write a text that begins with & in quotes`, quote("&"+y.Anchor))
	case y.Style&yaml.TaggedStyle != 0:
		n.kind = broken
		b.refuse(place, `%s is a tag of YAML, which is not supported; write a text that begins with ! in quotes`, quote(y.Tag))
	case y.Kind == yaml.MappingNode:
		n.kind = mapping
		b.buildPairs(n, y)
	case y.Kind == yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			at := Place{File: place.File, Line: item.Line, Key: place.Key + "[" + strconv.Itoa(i) + "]"}
			n.items = append(n.items, b.build(item, at))
		}
	case y.Kind == yaml.ScalarNode && y.ShortTag() != "!!null":
		n.kind = scalar
		n.text = y.Value
	}
	return n
}

func (b *builder) buildPairs(n *node, y *yaml.Node) {
	first := make(map[string]int, len(y.Content)/2) // key to its line
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		at := Place{File: n.place.File, Line: key.Line, Key: n.place.Key}
		if key.Kind != yaml.ScalarNode {
			b.refuse(at, `a key must be one word; write a text with braces or brackets in quotes`)
			continue
		}
		if at.Key != "" {
			at.Key += "."
		}
		at.Key += printable(key.Value)
		if line, again := first[key.Value]; again {
			b.refuse(at, "written twice, first in line %d", line)
			continue
		}
		first[key.Value] = key.Line
		n.pairs = append(n.pairs, pair{key.Value, b.build(y.Content[i+1], at)})
	}
}

// printable returns a key as it may stand in a problem of one line.
func printable(key string) string {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if key == "" || len(key) > 80 || strings.ContainsFunc(key, unprintable) {
		return quote(key)
	}
	return key
}

// syntaxProblem explains an error of the YAML parser, which has its line in its text, or nowhere when it is the first one.
func syntaxProblem(top Place, err error, data []byte) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if line, err := strconv.Atoi(m[1]); err == nil {
			top.Line = max(1, line)
		}
	} else {
		top.Line = badLine(data)
	}
	return top.problem("YAML: %s%s", strings.ReplaceAll(text, "\n", " "), hint(text))
}

// badLine returns the line of the first byte that is no text, else 1.
func badLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 || r < ' ' && !strings.ContainsRune("\t\r\n", r) {
			return line
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return 1
}

// hint says what to do about the mistakes that are made most often in a configuration.
func hint(text string) string {
	for _, h := range []struct{ in, hint string }{
		{"found character that cannot start any token", "; indent with spaces, not with tabs, and write a text with special characters in quotes"},
		{"found unknown escape character", `; write a path with backslashes in single quotes: 'C:\site'`},
		{"did not find expected hexdecimal number", `; write a path with backslashes in single quotes: 'C:\site'`},
		{"unknown anchor", `; write a text that begins with * in quotes: "*:80"`},
		{"did not find expected alphabetic or numeric character", `; write a text that begins with * or & in quotes: "*:80"`},
		{"did not find expected ',' or ']'", `; write a text with braces or brackets in quotes: "port={port}"`},
		{"mapping values are not allowed", `; check the indentation, and write a text with ": " in quotes`},
		{"UTF-8", "; save the file as UTF-8"},
	} {
		if strings.Contains(text, h.in) {
			return h.hint
		}
	}
	return ""
}
