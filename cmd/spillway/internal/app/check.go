package app

import (
	"cmp"
	"slices"
	"strings"

	"spillway/configs"
	"spillway/proxy"
)

// Check looks for what makes a start of config impossible on this machine, and for texts with $variables that do not
// exist. It starts nothing. known are the problems that are known already; all are returned in the order of the lines.
func Check(config *configs.Config, known configs.Problems) configs.Problems {
	problems := slices.Concat(known, config.CheckHost(), checkVariables(config))
	return slices.Compact(inOrder(problems)) // a replacement has two texts in one place
}

// inOrder sorts problems by their lines.
func inOrder(problems configs.Problems) configs.Problems {
	slices.SortFunc(problems, func(p, q configs.Problem) int {
		return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), strings.Compare(p.Key, q.Key),
			strings.Compare(p.Message, q.Message))
	})
	return problems
}

// checkVariables compiles every text with $variables.
func checkVariables(config *configs.Config) (problems configs.Problems) {
	for _, t := range config.Templates {
		if _, err := compile(t.Text); err != nil {
			at := t.Place
			problems = append(problems, configs.Problem{File: at.File, Line: at.Line, Key: at.Key, Message: err.Error()})
		}
	}
	return problems
}

// compile is the only way from a text of the configuration to a template: its type says that it is checked.
func compile(t configs.Template) (*proxy.Template, error) { return proxy.CompileTemplate(string(t)) }
