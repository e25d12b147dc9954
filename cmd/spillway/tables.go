package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"spillway/cmd/spillway/internal/app"
)

// writeTables writes the state for an operator at a terminal.
func writeTables(w io.Writer, r *statusReport, now time.Time) error {
	t := &tables{now: now}
	t.line("spillway %s, pid %d, %s since %s (%s), configuration %s", r.Version, r.PID, r.Phase,
		r.Started.Local().Format(time.DateTime), age(now.Sub(r.Started)), r.Config)
	if last := r.Loaded.LastReload; last != nil {
		how := "done"
		if last.Error != "" {
			how = "refused: " + strings.ReplaceAll(last.Error, "\n", "; ")
		}
		t.line("last reload %s: %s", last.At.Local().Format(time.DateTime), how)
	}
	if len(r.Listeners) > 0 {
		t.line("\nLISTENER\tCLIENTS\tREADING\tWRITING\tWAITING\tACCEPTED")
	}
	for i := range r.Listeners {
		l := &r.Listeners[i]
		address := l.Address
		if l.TLS {
			address += " tls"
		}
		t.line("%s\t%d\t%d\t%d\t%d\t%d", address, l.Active, l.Reading, l.Writing, l.Waiting, l.Accepted)
	}
	for i := range r.Upstreams {
		t.upstream(&r.Upstreams[i])
	}
	if len(r.Listeners) > 0 {
		t.line("\nbuffers %s, spill files %d with %s", budget(r.Buffers), r.Temp.Files, budget(r.Temp.BudgetStatus))
	}
	return t.write(w)
}

// tables collects lines whose columns are set off by tabs.
type tables struct {
	now  time.Time
	text strings.Builder
}

// line adds a line. Control characters, which would speak to the terminal, are taken out of it.
func (t *tables) line(format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	t.text.WriteString(text + "\n")
}

func (t *tables) write(w io.Writer) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(aligned, t.text.String()); err != nil {
		return err
	}
	return aligned.Flush()
}

// upstream adds the peers of an upstream, or its processes.
func (t *tables) upstream(u *app.UpstreamStatus) {
	inflight, processes, probes := int64(0), false, ""
	for i := range u.Peers {
		inflight += u.Peers[i].Inflight
		processes = processes || u.Peers[i].Process != nil
		if u.Peers[i].Health != nil {
			probes = "\tLAST PROBE"
		}
	}
	t.line("\nupstream %s (%s): %d in flight, %d idle connections%s", u.Name, u.Protocol, inflight, u.Idle, queue(&u.Queue))
	if processes {
		t.line("PROCESS\tPORT\tPID\tSTATE\tSINCE\tREQUESTS\tIN FLIGHT\tFAILURES\tRESTARTS\tMEMORY\tLAST EXIT%s", probes)
	} else {
		t.line("PEER\tSTATE\tREQUESTS\tIN FLIGHT\tFAILURES%s", probes)
	}
	for i := range u.Peers {
		t.peer(&u.Peers[i])
	}
	for i := range u.Names {
		t.name(&u.Names[i])
	}
}

func (t *tables) peer(p *app.PeerStatus) {
	if p.Process == nil {
		t.line("%s\t%s\t%d\t%d\t%d%s", p.Address, p.State, p.Requests, p.Inflight, p.Failures, t.probe(p.Health))
		return
	}
	process := p.Process
	if process.Number == 0 && process.PID == 0 {
		cells := 9
		if p.Health != nil {
			cells++
		}
		t.line("spare\t%d"+strings.Repeat("\t", cells), process.Port) // all cells, or the columns below shift
		return
	}
	state := process.State
	if process.Reason != "" {
		state += ", " + string(process.Reason)
	}
	if p.State == "disabled" || p.State == "unhealthy" { // which the process knows nothing of
		state += ", " + p.State
	}
	memory := "-"
	if process.Memory > 0 {
		memory = size(process.Memory)
	}
	t.line("%d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s%s", process.Number, process.Port, pid(process.PID), state,
		age(t.now.Sub(process.Since)), p.Requests, p.Inflight, p.Failures, process.Restarts, memory, orDash(process.LastExit),
		t.probe(p.Health))
}

// probe writes a cell with what the last probe of a peer said; nothing for peers that are not probed.
func (t *tables) probe(h *app.HealthStatus) string {
	switch {
	case h == nil:
		return ""
	case h.At == nil:
		return "\t-"
	case h.Error == "":
		return fmt.Sprintf("\tok %s ago", age(t.now.Sub(*h.At)))
	default:
		return fmt.Sprintf("\t%s ago: %s", age(t.now.Sub(*h.At)), strings.ReplaceAll(h.Error, "\t", " "))
	}
}

// name adds what is known of a host name.
func (t *tables) name(n *app.NameStatus) {
	text := "not answered yet"
	if n.Answered != nil {
		text = fmt.Sprintf("addresses: %d, answered %s ago", n.Addresses, age(t.now.Sub(*n.Answered)))
	}
	if n.Error != "" {
		text += "; now: " + n.Error
	}
	t.line("%s: %s", n.Name, text)
}

// queue writes what waits; nothing where nothing can.
func queue(q *app.QueueStatus) string {
	if q.Length == 0 {
		return ""
	}
	text := fmt.Sprintf(", %d of %d waiting (%d have waited)", q.Waiting, q.Length, q.Total)
	if refused := q.Full + q.TimedOut; refused > 0 {
		text += fmt.Sprintf(", %d refused", refused)
	}
	return text
}

// pid writes the id of a process that may not be there.
func pid(id int) string {
	if id == 0 {
		return "-"
	}
	return strconv.Itoa(id)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// age writes a length of time in two units at most.
func age(d time.Duration) string {
	s := int64(max(0, d).Seconds())
	const minute, hour, day = 60, 3600, 24 * 3600
	switch {
	case s < minute:
		return fmt.Sprintf("%ds", s)
	case s < hour:
		return fmt.Sprintf("%dm%02ds", s/minute, s%minute)
	case s < day:
		return fmt.Sprintf("%dh%02dm", s/hour, s%hour/minute)
	default:
		return fmt.Sprintf("%dd%02dh", s/day, s%day/hour)
	}
}

// budget writes how much of it is in use.
func budget(b app.BudgetStatus) string {
	if b.Budget == 0 {
		return size(b.InUse)
	}
	return size(b.InUse) + " of " + size(b.Budget)
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	units, value := []string{"B", "KiB", "MiB", "GiB", "TiB"}, float64(bytes)
	for len(units) > 1 && value >= 1024 {
		units, value = units[1:], value/1024
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}
