package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"spillway/configs"
)

// Severity says how bad a finding is. In JSON it is its text.
type Severity uint8

// The severities, and the exit status that the worst finding gives.
const (
	OK      Severity = iota // as it should be: 0
	Note                    // worth knowing; most sites do well with it: 0
	Warning                 // works, until there is load or something else happens: 1
	Error                   // spillway or one of its processes cannot start, or cannot write: 2
)

// String returns ok, note, warning or error.
func (s Severity) String() string {
	return [...]string{"ok", "note", "warning", "error"}[s]
}

// MarshalText writes the text of the severity.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that was looked at.
type Finding struct {
	Severity Severity `json:"severity"`
	Topic    string   `json:"topic"` // what it is about, in a few words: port 80, temp_path
	Text     string   `json:"text"`  // one line
	Fix      string   `json:"fix,omitempty"`
}

// Check looks at the machine; config may be nil or have problems. It takes a second at most, on Windows a few. The worst
// findings come first.
func Check(config *configs.Config) []Finding { return examine(collect(config)) }

// examine runs all checks.
func examine(f *facts) []Finding {
	checks := []func(*facts) []Finding{
		checkUnknown, checkListen, checkWeb, checkBackendPorts, checkPeers, checkExcluded, checkEphemeral,
		checkTemp, checkLogs, checkCertificates, checkLocalhost, checkPHP, checkSystem,
	}
	var findings []Finding
	for _, check := range checks {
		findings = append(findings, check(f)...)
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return findings
}

// Run looks at the machine, writes what it found to w, as JSON or for a human, and returns the exit status: 0 when nothing is
// worse than a note, 1 with a warning, 2 with an error.
func Run(w io.Writer, config *configs.Config, asJSON bool) (status int) {
	findings := Check(config)
	write := writeText
	if asJSON {
		write = writeJSON
	}
	if err := write(w, findings); err != nil {
		return 1 // nobody reads it
	}
	return statusOf(findings)
}

// statusOf returns the exit status for the worst finding.
func statusOf(findings []Finding) int {
	status := 0
	for _, f := range findings {
		switch f.Severity {
		case Warning:
			status = max(status, 1)
		case Error:
			status = 2
		default:
		}
	}
	return status
}

// report is the JSON form.
type report struct {
	Status   int       `json:"status"` // the exit status
	Findings []Finding `json:"findings"`
}

func writeJSON(w io.Writer, findings []Finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // commands have > and &&
	e.SetIndent("", "  ")
	return e.Encode(report{statusOf(findings), findings})
}

// writeText writes a line for each finding, with its fix below, and a last line that counts them.
func writeText(w io.Writer, findings []Finding) error {
	wide := 0
	var count [Error + 1]int
	for _, f := range findings {
		wide = max(wide, len(f.Topic))
		count[f.Severity]++
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.Severity, wide, f.Topic, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(&b, "%*s fix: %s\n", 7+2+wide+1, "", f.Fix)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %s, %d ok\n", plural(count[Error], "error"), plural(count[Warning], "warning"),
		plural(count[Note], "note"), count[OK])
	_, err := io.WriteString(w, b.String())
	return err
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
