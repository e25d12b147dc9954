package app

import (
	"cmp"
	"slices"
	"strings"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/accesslog"
)

// Check looks for what makes a start of config impossible on this machine, and for texts with $variables that do not
// exist. It starts nothing. known are the problems that are known already; all are returned in the order of the lines.
func Check(config *configs.Config, known configs.Problems) configs.Problems {
	problems := slices.Concat(known, config.CheckHost(), checkVariables(config))
	return slices.Compact(inOrder(problems)) // several locations may have inherited the same text
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
	check := func(at configs.Place, text string) {
		if _, err := proxy.CompileTemplate(text); err != nil {
			problems = append(problems, configs.Problem{File: at.File, Line: at.Line, Key: at.Key, Message: err.Error()})
		}
	}
	checkFields := func(at configs.Place, fields []configs.Field) {
		key := at.Key
		for _, f := range fields {
			at.Key = key + "." + f.Name
			check(at, f.Value)
		}
	}
	if format := config.AccessLog.Format; format != accesslog.Combined && format != accesslog.JSON {
		check(config.AccessLog.Places.At("format"), format)
	}
	for _, u := range config.Upstreams {
		check(u.Places.At("method"), u.Method.Key)
	}
	for _, server := range config.Servers {
		for i := range server.Locations {
			s := &server.Locations[i].Settings
			checkFields(s.Places.At("set_header"), s.SetHeader)
			checkFields(s.Places.At("params"), s.Script.Params)
		}
	}
	return problems
}
