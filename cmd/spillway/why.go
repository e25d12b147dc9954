package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"spillway/cmd/spillway/internal/control"
	"spillway/proxy"
	"spillway/proxy/why"
)

// whyCommand says why a request has failed.
type whyCommand struct {
	ID   string `arg:"" optional:"" help:"From the error page, the field X-Spillway-Why, or the log; without it the latest are listed."`
	JSON bool   `name:"json" help:"The JSON of /why or /why/ID."`
}

// Run prints the report, or the list.
func (c *whyCommand) Run(line *commandLine) error {
	return ask(line.Config, func(ctx context.Context, client *control.Client) error {
		text, err := client.Why(ctx, c.ID)
		if err != nil {
			return err
		}
		var list why.List
		var report why.Report
		switch {
		case c.JSON:
			_, err = os.Stdout.Write(text)
			return err
		case c.ID == "":
			if err = json.Unmarshal(text, &list); err == nil {
				return writeFailures(os.Stdout, &list)
			}
		default:
			if err = json.Unmarshal(text, &report); err == nil {
				return writeReport(os.Stdout, &report)
			}
		}
		return fmt.Errorf("the answer of pid %d: %w", client.Identity.PID, err)
	})
}

// listed is how many requests fit on a screen.
const listed = 30

// writeFailures writes the latest requests in which something has failed.
func writeFailures(w io.Writer, list *why.List) error {
	t := &tables{}
	since := list.Since.Local().Format(time.DateTime)
	if list.Kept == 0 {
		t.line("nothing has failed since %s", since)
		return t.write(w)
	}
	t.line("ID\tTIME\tSTATUS\tREQUEST\tUPSTREAM\tCAUSE")
	for i := range min(len(list.Requests), listed) {
		r := &list.Requests[i]
		cause := cmp.Or(r.Error, string(r.Cause))
		if cause == "" && r.Status >= http.StatusInternalServerError {
			cause = "the application"
		}
		t.line("%s\t%s\t%d\t%s\t%s\t%s", r.ID, r.Time.Local().Format(time.DateTime), r.Status, orDash(cell(r.Request)),
			orDash(r.Upstream), orDash(cell(cause)))
	}
	t.line("\n%d are kept, those since %s; `spillway why ID` tells all about one", list.Kept, since)
	return t.write(w)
}

// cell is a text as a table has room for it.
func cell(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return oneLine(text)
}

// oneLine takes from a text what would begin another line or column.
func oneLine(text string) string { return strings.NewReplacer("\n", " ", "\t", "    ").Replace(text) }

// writeReport writes what is known of one request: what happened, what became of the processes that had it, what the
// upstream was like, the attempts, and the last that was heard of application and processes.
func writeReport(w io.Writer, r *why.Report) error {
	t := &tables{}
	t.line("%s: %s for %s", r.ID, statusLine(r.Status), orDash(oneLine(r.Request)))
	t.line("%s, %s", r.Time.Local().Format("2006-01-02 15:04:05.000"), whence(r))
	t.line("\n%s", story(r))
	t.processes(r)
	t.scene(r.Scene)
	t.attempts(r)
	t.quote("FastCGI sent in stderr:", strings.Split(strings.TrimRight(r.Stderr, "\n"), "\n"))
	t.outputs(r)
	return t.write(w)
}

// outputs quotes what the processes wrote while they had the request, and of the others the last that they wrote at all.
func (t *tables) outputs(r *why.Report) {
	told := map[*why.Process]bool{}
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Process != nil && len(a.Output) > 0 && outlived(r, a.Process) {
			t.quote(fmt.Sprintf("what %s wrote meanwhile:", processName(a.Process)), a.Output)
			told[a.Process] = true
		}
	}
	for _, p := range processesOf(r) {
		if !told[p] {
			t.quote(fmt.Sprintf("the last output of %s:", processName(p)), p.Output)
		}
	}
}

// statusLine is the status with its words.
func statusLine(status int) string {
	if status == proxy.StatusClientGone {
		return fmt.Sprintf("%d (the client had left)", status)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// whence is what is known of the request.
func whence(r *why.Report) string {
	parts := []string{"took " + exact(r.Took), fmt.Sprintf("*%d in the error log", r.Exchange), "client " + r.Client}
	for _, part := range [][2]string{
		{"host", r.Host}, {"server", r.Server}, {"location", r.Location}, {"upstream", r.Upstream},
	} {
		if part[1] != "" {
			parts = append(parts, part[0]+" "+oneLine(part[1]))
		}
	}
	if r.Body > 0 {
		parts = append(parts, "request body "+size(r.Body))
	}
	if r.Spilled > 0 {
		parts = append(parts, size(r.Spilled)+" of the response spilled to disk")
	}
	return strings.Join(append(parts, size(r.Bytes)+" sent"), ", ")
}

// exact writes seconds for who wants to know what came first.
func exact(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.1f ms", 1000*seconds)
	}
	return fmt.Sprintf("%.3f s", seconds)
}

// count writes a number of things for people.
func count[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// exactOrDash is exact for what may not have been reached.
func exactOrDash(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return exact(seconds)
}

// scene writes what the upstream was like.
func (t *tables) scene(s *proxy.Scene) {
	if s == nil || len(s.Peers) == 0 {
		return
	}
	inflight, up, all := int64(0), 0, 0
	var others []string
	for i := range s.Peers {
		p := &s.Peers[i]
		inflight += p.Inflight
		if p.State != "spare" {
			all++
		}
		switch p.State {
		case "spare": // no process is meant to be there
		case "up":
			up++
		default:
			others = append(others, p.Address+" "+p.State)
		}
	}
	text := fmt.Sprintf("At the first failure %d of %d peers were up", up, all)
	if len(others) > 0 {
		text += " (" + strings.Join(others, ", ") + ")"
	}
	text += ", with " + count(inflight, "request") + " in flight"
	if s.Queue > 0 {
		text += fmt.Sprintf("; %d of %d requests waited", s.Waiting, s.Queue)
	}
	t.line("%s.", text)
}

// attempts writes the table of the attempts.
func (t *tables) attempts(r *why.Report) {
	if len(r.Attempts) == 0 {
		return
	}
	t.line("\nATTEMPT\tPEER\tAFTER\tSTATUS\tCONNECT\tHEAD\tRESPONSE\tBYTES\tFAILURE")
	for i := range r.Attempts {
		a := &r.Attempts[i]
		status := "-"
		if a.Status != 0 {
			status = strconv.Itoa(a.Status)
		}
		t.line("%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s", i+1, a.Peer, exact(a.After), status, exactOrDash(a.Connect),
			exactOrDash(a.Head), exactOrDash(a.Response), a.Bytes, orDash(oneLine(failureOf(a))))
	}
}

// failureOf is the failure of an attempt in nginx's words.
func failureOf(a *why.Attempt) string {
	if a.Error == "" {
		return ""
	}
	return a.Error + " while " + a.Phase
}

// quote writes lines that are not ours, each behind a bar.
func (t *tables) quote(title string, lines []string) {
	if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
		return
	}
	t.line("\n%s", title)
	for _, line := range lines {
		t.line("  | %s", oneLine(line))
	}
}
