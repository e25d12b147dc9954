package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"spillway/proxy"
	"spillway/proxy/why"
	"spillway/upstream"
)

// story says in a sentence what happened to a request, and in another one who answered in place of an error.
func story(r *why.Report) string {
	failed, last := &why.Attempt{}, &why.Attempt{}
	for i := range r.Attempts {
		last = &r.Attempts[i]
		if last.Error != "" || failed.Error == "" {
			failed = last
		}
	}
	text := errorStory(r, failed)
	switch {
	case text == "":
		return otherStory(r, last)
	case last != failed && last.Status != 0:
		text += inPlace(last)
	}
	return text
}

// inPlace says who has answered in place of an error.
func inPlace(last *why.Attempt) string {
	return fmt.Sprintf(" %s answered in its place: it sent %d.", last.Peer, last.Status)
}

// errorStory is the story of a request that ended with an error of ours, at an attempt or before; "" when it did not.
func errorStory(r *why.Report, failed *why.Attempt) string {
	switch r.Cause {
	case proxy.CauseRefused:
		if failed.Phase == upstream.Handshaking.String() {
			return handshakeStory(failed)
		}
		return fmt.Sprintf("Nobody took the connection to %s: %s.", failed.Peer, failed.Error)
	case proxy.CauseFailed:
		return fmt.Sprintf("%s broke off while spillway was %s: %s.", failed.Peer, failed.Phase, failed.Error)
	case proxy.CauseTimeout:
		return fmt.Sprintf("%s took too long while spillway was %s: %s.", failed.Peer, failed.Phase, failed.Error)
	case proxy.CauseInvalid:
		return fmt.Sprintf("%s gave an answer that is not to be trusted: %s.", failed.Peer, failed.Error)
	case proxy.CauseStuck:
		return failed.Peer + " took longer than busy_timeout; its process was stopped."
	case proxy.CauseDeadline:
		return fmt.Sprintf("The deadline of the location passed while spillway was %s.", failed.Phase)
	case proxy.CausePoison:
		if failed.Peer == r.Upstream { // there was no attempt
			return fmt.Sprintf("spillway refused it: %s.", failed.Error)
		}
		return "It was not sent to another process: requests like it end processes, or hang in them."
	case proxy.CauseNoPeers, proxy.CauseNoProcess:
		return nobodyStory(r)
	case proxy.CauseQueueFull:
		return fmt.Sprintf("The queue of %s was full.", r.Upstream)
	case proxy.CauseClientFull:
		return fmt.Sprintf("As many requests of %s waited in the queue of %s as one client may have there.", r.Client, r.Upstream)
	case proxy.CauseNoSlot:
		return fmt.Sprintf("All processes of %s were busy; in %s of waiting none became free.", r.Upstream, exact(r.Queued))
	case proxy.CauseClientGone:
		return "The client left before it had an answer."
	case proxy.NoCause, proxy.CauseRequestBody, proxy.CauseInternal:
	}
	return ""
}

// handshakeStory is about a peer with which there was no TLS.
func handshakeStory(failed *why.Attempt) string {
	if !strings.HasPrefix(failed.Error, "upstream SSL certificate verify error") {
		return fmt.Sprintf("%s took the connection, but the TLS handshake failed: %s.", failed.Peer, failed.Error)
	}
	return fmt.Sprintf("%s took the connection, but its certificate is not trusted: %s. What is trusted, and under which name, "+
		"is set by `tls: {trusted_certificate, server_name, verify}` of the upstream.", failed.Peer, failed.Error)
}

// nobodyStory is about an upstream in which nobody was there to ask.
func nobodyStory(r *why.Report) string {
	switch {
	case r.Scene != nil && len(r.Scene.Peers) == 0 && len(r.Scene.Unresolved) > 0:
		text := fmt.Sprintf("No peer of %s could be asked: no host name was resolved", r.Upstream)
		if r.Queued > 0 {
			text += fmt.Sprintf(" in %s of waiting", exact(r.Queued))
		}
		return fmt.Sprintf("%s (%s).", text, oneLine(strings.Join(r.Scene.Unresolved, "; ")))
	case r.Cause == proxy.CauseNoProcess:
		return fmt.Sprintf("No process of %s was ready; in %s of waiting none became so.", r.Upstream, exact(r.Queued))
	default:
		return fmt.Sprintf("No peer of %s could be asked: none was up.", r.Upstream)
	}
}

// otherStory is the story of a request that did not end with an error of an attempt.
func otherStory(r *why.Report, last *why.Attempt) string {
	switch {
	case r.Failure != "":
		return fmt.Sprintf("spillway could not serve it: %s.", oneLine(r.Failure))
	case last.Error != "" && r.Truncated:
		return fmt.Sprintf("The response was cut off after its head had been sent: %s broke off: %s.", last.Peer, last.Error)
	case last.Status == r.Status && r.Status >= http.StatusInternalServerError:
		return fmt.Sprintf("The application answered so itself: %s sent %d.", last.Peer, r.Status)
	case last.Status == r.Status && len(r.Attempts) > 1:
		return fmt.Sprintf("It was answered all the same: by %s, at attempt %d.", last.Peer, len(r.Attempts))
	case last.Status != 0 && len(r.Attempts) > 1: // an error page
		own := &r.Attempts[len(r.Attempts)-2]
		return fmt.Sprintf("The application answered with an error: %s sent %d.", own.Peer, own.Status) + inPlace(last)
	default:
		return "spillway could not serve it; its error log says more."
	}
}

// processesOf are the processes that a report speaks of, each once: those that had the request, else the one that ended
// last, or those that requests like it have ended.
func processesOf(r *why.Report) []*why.Process {
	var found []*why.Process
	for i := range r.Attempts {
		p := r.Attempts[i].Process
		same := func(other *why.Process) bool { return other.PID == p.PID && other.Port == p.Port }
		if p != nil && (r.Attempts[i].Error != "" || len(r.Attempts) == 1) && !slices.ContainsFunc(found, same) {
			found = append(found, p)
		}
	}
	if r.LastExit != nil {
		found = append(found, r.LastExit)
	}
	return append(found, r.Killed...)
}

// processes writes what became of them.
func (t *tables) processes(r *why.Report) {
	for _, p := range processesOf(r) {
		what := "had the request"
		switch {
		case p == r.LastExit:
			what = "was the last one to end"
		case slices.Contains(r.Killed, p):
			what = "had a request like it"
		}
		if p.Ended == nil {
			t.line("P%s %s and still runs.", processName(p)[1:], what)
			continue
		}
		end := "ended with " + p.Exit
		if p.Reason != "exited" {
			end = fmt.Sprintf("was ended (%s) with %s", p.Reason, p.Exit)
		}
		uptime := time.Duration(p.Uptime * float64(time.Second))
		text := fmt.Sprintf("P%s %s; it %s, %s, after %s and %s", processName(p)[1:], what, end,
			relative(p.Ended.Sub(r.Time).Seconds()-r.Took), age(uptime), count(p.Requests, "request"))
		if p.Peak > 0 {
			text += fmt.Sprintf("; it had held %s of memory at most", size(p.Peak))
		}
		t.line("%s.", text)
	}
}

// outlived says whether a process that had the request ended so much later that its last output is about something else.
func outlived(r *why.Report, p *why.Process) bool {
	const together = 1 // second
	return p.Ended == nil || p.Ended.Sub(r.Time).Seconds() > r.Took+together
}

// processName says which process it is.
func processName(p *why.Process) string {
	return fmt.Sprintf("process %d of %s (pid %d, port %d)", p.Number, p.Upstream, p.PID, p.Port)
}

// relative says when something happened, from the end of the request on.
func relative(seconds float64) string {
	if seconds < 0 {
		return exact(-seconds) + " before the request had ended"
	}
	return exact(seconds) + " after the request had ended"
}
