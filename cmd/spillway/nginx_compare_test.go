//go:build linux && !race

package main_test

import (
	"strings"
	"testing"
)

// withTimes is combined with what nginx knows about the upstream; times are compared by their shape.
const withTimes = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" ` +
	`addr=[$upstream_addr] status=[$upstream_status] connect=[$upstream_connect_time] head=[$upstream_header_time] ` +
	`took=[$upstream_response_time] length=[$upstream_response_length] received=[$upstream_bytes_received] ` +
	`request_length=$request_length uri=$uri args=$args host=$host server=$server_name time=$request_time ` +
	`type=$content_type sent_type=$sent_http_content_type on_connection=$connection_requests`

// compare does all trials to both rivals and reports what differs and is not meant to.
func compare(t *testing.T, format string, trials []*trial) {
	t.Helper()
	compareAs(t, setup{format: format}, trials)
}

// compareSecured is compare over TLS.
func compareSecured(t *testing.T, format string, trials []*trial) {
	t.Helper()
	compareAs(t, setup{format: format, certificate: writePair(t, serverName)}, trials)
}

func compareAs(t *testing.T, s setup, trials []*trial) {
	t.Helper()
	requireNginx(t)
	s.places = []*place{{
		name: "ping", protocol: "http", peers: []*peer{{answers: []reaction{{bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}}}},
	}}
	for _, tr := range trials {
		if tr.protocol == "" {
			tr.protocol = "http"
		}
		s.places = append(s.places, tr.place)
	}
	for _, p := range s.places {
		p.startPeers(t)
	}
	rivals := []*rival{startNginx(t, s), startSpillway(t, s)}
	seen := make([][]observation, len(rivals))
	for i, r := range rivals {
		logged := 0
		for _, tr := range trials {
			seen[i] = append(seen[i], tr.run(t, r, &logged))
		}
		collectLogs(t, r, trials, seen[i], logged)
	}
	for i, tr := range trials {
		t.Run(tr.name, func(t *testing.T) { report(t, tr, seen[0][i], seen[1][i]) })
	}
}

// report compares all that was seen of one trial.
func report(t *testing.T, tr *trial, nginx, spillway observation) {
	t.Helper()
	settle(t, tr, nginx, spillway)
	for _, what := range []string{
		seenResponse, seenFraming, seenBody, seenConnection, seenPeers, seenErrors, seenAccess,
	} {
		if nginx[what] != spillway[what] {
			t.Errorf("%s:\n%s", what, diff(nginx[what], spillway[what]))
		}
	}
}

// diff shows the lines of which one rival has more than the other, or both texts when only the order differs.
func diff(nginx, spillway string) string {
	if nginx == "" || spillway == "" {
		return "nginx:    " + nginx + "\nspillway: " + spillway
	}
	if strings.Count(nginx, "\n") == strings.Count(spillway, "\n") && strings.Contains(nginx, "addr=[") {
		// A line of the access log: its parts.
		nginx, spillway = strings.ReplaceAll(nginx, " ", "\n"), strings.ReplaceAll(spillway, " ", "\n")
	}
	var b strings.Builder
	only := func(name, text, other string) {
		for line := range strings.SplitSeq(text, "\n") {
			if strings.Count("\n"+text+"\n", "\n"+line+"\n") > strings.Count("\n"+other+"\n", "\n"+line+"\n") {
				b.WriteString(name + line + "\n")
			}
		}
	}
	only("nginx:    ", nginx, spillway)
	only("spillway: ", spillway, nginx)
	if b.Len() == 0 {
		return "in another order; nginx:\n" + nginx + "\nspillway:\n" + spillway
	}
	return b.String()
}
