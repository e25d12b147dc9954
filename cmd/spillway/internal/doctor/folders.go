package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"spillway/configs"
	"spillway/upstream/host"
)

// leastTemp is how much room the spill files should find without a configuration that says it: one response of nginx's
// default max_temp_file_size.
const leastTemp = int64(configs.GiB)

// leastLog is how much room a log should find: a busy day of lines.
const leastLog = int64(configs.GiB)

// checkTemp judges where spill files go.
func checkTemp(f *facts) []Finding {
	t := f.temp
	finding := Finding{Topic: "temp_path"}
	want := leastTemp
	if budget := int64(f.config.TempBudget); budget > 0 {
		want = budget
	}
	switch v := t.volume; {
	case t.err != nil:
		finding.Severity, finding.Text = Warning, fmt.Sprintf("%s: %v", t.path, t.err)
	case v.Kind == host.Network:
		finding.Severity = Warning
		finding.Text = t.path + " lies on a network drive: a slow client's response goes there and back over the network"
	case v.Kind == host.InMemory:
		finding.Severity = Warning
		finding.Text = t.path + " lies in memory: what spills there to save memory takes it"
	case v.Free < want:
		finding.Severity = Warning
		finding.Text = fmt.Sprintf("%s has %s free, and spill files may take %s together", t.path, size(v.Free), size(want))
	case v.Kind == host.Removable:
		finding.Severity, finding.Text = Note, t.path+" lies on a removable drive"
	default:
		finding.Text = fmt.Sprintf("%s has %s free on a %s drive", t.path, size(v.Free), v.Kind)
	}
	if finding.Severity > OK {
		finding.Fix = "temp_path: " + tempExample
	}
	return []Finding{finding}
}

// checkLogs judges where logs go.
func checkLogs(f *facts) (findings []Finding) {
	for _, l := range f.logs {
		finding := Finding{Topic: l.key}
		switch v := l.volume; {
		case errors.Is(l.err, fs.ErrPermission):
			finding.Severity, finding.Text = Error, fmt.Sprintf("%s, who runs this, may not write there: %v", f.account, l.err)
			finding.Fix = writeFix(f.account, l)
		case l.err != nil:
			finding.Severity, finding.Text = Error, l.err.Error()
			finding.Fix = l.key + ": {path: " + logExample + "}"
		case v.Kind != "" && v.Free < leastLog:
			finding.Severity, finding.Text = Warning, fmt.Sprintf("%s has only %s free", l.path, size(v.Free))
			finding.Fix = l.key + ": {rotate: {size: 100m, keep: 5, compress: on}}"
		case v.Kind == host.Network:
			finding.Severity, finding.Text = Note, l.path+" lies on a network drive: lines are lost while it is away"
		default:
			finding.Text = l.path + " can be written"
		}
		findings = append(findings, finding)
	}
	return findings
}

// size writes bytes for a human, in the units of the configuration.
func size(n int64) string {
	units := []struct {
		size int64
		name string
	}{{int64(configs.GiB), "g"}, {int64(configs.MiB), "m"}, {int64(configs.KiB), "k"}}
	for _, u := range units {
		if n >= u.size {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}
