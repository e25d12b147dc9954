package instance

import (
	"strings"
	"testing"
)

func TestParseMetric_AddsUpItsLabels(t *testing.T) {
	const page = "# HELP a_total What.\n# TYPE a_total counter\n" +
		"a_total{x=\"1 2\"} 3\na_total{x=\"b\"} 4e2\na_total_of 9\nb 1.5\nc x\n"
	f := func(name string, want float64, ok bool) {
		t.Helper()
		got, err := parseMetric(strings.NewReader(page), name)
		if got != want || ok != (err == nil) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
	f("a_total", 403, true)
	f("b", 1.5, true)
	f("a", 0, false)
	f("c", 0, false)
}
