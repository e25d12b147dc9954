package app

import (
	"cmp"
	"maps"
	"time"

	"spillway/proxy/metrics"
	"spillway/upstream/resolve"
)

// NameStatus is a host name among the peers of an upstream.
type NameStatus struct {
	Name      string     `json:"name"`
	Addresses int        `json:"addresses"`          // of the last answer that had any
	Answered  *time.Time `json:"answered,omitempty"` // when that came; nothing: there was none
	Next      *time.Time `json:"next,omitempty"`     // when the name is asked for again; nothing: not any more
	Error     string     `json:"error,omitempty"`    // of the last lookup
}

// nameStatus returns what is known of the names of a group.
func (g *group) nameStatus() (all []NameStatus) {
	if g.names == nil {
		return nil
	}
	names := g.names.Status()
	for i := range names {
		n := &names[i]
		status := NameStatus{Name: n.Name.String(), Addresses: n.Addresses}
		if !n.Answered.IsZero() {
			status.Answered = &n.Answered
		}
		if !n.Next.IsZero() {
			status.Next = &n.Next
		}
		if n.Err != nil {
			status.Error = n.Err.Error()
		}
		all = append(all, status)
	}
	return all
}

// unresolved lists the names of a group that stand for nobody, each with the reason.
func (g *group) unresolved() (all []string) {
	for _, n := range g.nameStatus() {
		if n.Addresses == 0 {
			all = append(all, n.Name+": "+cmp.Or(n.Error, "not answered yet"))
		}
	}
	return all
}

// outcomes of lookups are the values of the label outcome.
var outcomes = []struct {
	name  string
	count func(*resolve.Status) uint64
}{
	{"answered", func(s *resolve.Status) uint64 { return s.Answers }},
	{"empty", func(s *resolve.Status) uint64 { return s.Empty }},
	{"failed", func(s *resolve.Status) uint64 { return s.Failures }},
}

// nameSeries are the numbers of a group's names.
func (a *App) nameSeries(g *group) (remove []func()) {
	if g.names == nil {
		return nil
	}
	known := g.names.Status()
	for i := range known {
		labels := metrics.Labels{"upstream": g.config.Name, "name": known[i].Name.String()}
		now := func() *resolve.Status { return &g.names.Status()[i] }
		remove = append(remove, a.metrics.Gauge("spillway_name_answer_age_seconds",
			"Time since a host name was last answered with addresses; -1 is never.", labels, func() float64 { return answerAge(now()) }))
		for _, outcome := range outcomes {
			more := maps.Clone(labels)
			more["outcome"] = outcome.name
			remove = append(remove, a.metrics.Counter("spillway_name_lookups_total", "Lookups of host names of peers, by their outcome.",
				more, func() float64 { return float64(outcome.count(now())) }))
		}
	}
	return remove
}

// answerAge is how old the last answer is, in seconds.
func answerAge(s *resolve.Status) float64 {
	if s.Answered.IsZero() {
		return -1
	}
	return time.Since(s.Answered).Seconds()
}
