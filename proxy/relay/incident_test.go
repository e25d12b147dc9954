package relay_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// incidentRig is a rig in which what fails gets an id.
func incidentRig(t *testing.T, peers []upstream.PeerOptions, change func(*setup)) *rig {
	t.Helper()
	s := setup{peers: peers, why: proxy.NewIncidents(), options: func(o *relay.Options) { o.Timeouts.Read = hurry }}
	if change != nil {
		change(&s)
	}
	return start(t, s)
}

// wantWhy checks that the client, the record and each line of a message have the same id, and returns the record.
func (r *rig) wantWhy(got response, messages ...string) record {
	r.t.Helper()
	rec := r.next()
	if rec.Why == "" || got.header.Get(proxy.WhyField) != rec.Why {
		r.t.Errorf("got id %q for the client, %q in the record", got.header.Get(proxy.WhyField), rec.Why)
	}
	for _, message := range messages {
		r.wantLog(message, "exchange.why="+rec.Why)
	}
	return rec
}

func TestHandler_AFailureIsAnIncidentWithItsScene(t *testing.T) {
	f := func(name string, fault upstreamtest.Fault, status int, phase upstream.Phase, text string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: fault}))
			r := incidentRig(t, append(at(peer.Addr()), upstream.PeerOptions{Address: "127.0.0.1:1", Down: true}), func(s *setup) {
				s.options = func(o *relay.Options) {
					o.Timeouts.Read, o.Retry.Tries = hurry, 1
					o.Group.Peers()[1].SetSpare(true)
					o.Unresolved = func() []string { return []string{"app.test:80: host not found"} }
				}
			})
			got := r.do("GET", "/", "")
			rec := r.wantWhy(got, "peer failed", "peer disabled")
			if got.status != status || !strings.Contains(string(got.body), "reference "+rec.Why) {
				t.Errorf("got %d\n%s", got.status, got.body)
			}
			a := &rec.Attempts[0]
			if a.Phase != phase.String() || a.Err == nil || !strings.Contains(a.Err.Error(), text) || a.Run != 1 || a.Began.IsZero() {
				t.Errorf("got attempt %+v, want it failed while %s: %s", a, phase, text)
			}
			want := fmt.Sprintf("&{0 0 [{%s up 1} {127.0.0.1:1 spare 0}] [app.test:80: host not found]}", peer.Addr())
			if scene := fmt.Sprint(rec.Scene); scene != want {
				t.Errorf("got scene %s, want %s", scene, want)
			}
		})
	}
	f("closed", upstreamtest.CloseBeforeHead, 502, upstream.ReadingHead, "prematurely closed")
	f("silent", upstreamtest.Silent, 504, upstream.ReadingHead, "timed out")
}

func TestHandler_ARequestThatSucceededElsewhereIsAnIncident(t *testing.T) {
	r := incidentRig(t, at(refusing(t), serve(t, upstreamtest.HTTP{}, good).Addr()), nil)
	got := r.do("GET", "/", "")
	got.want(t, http.StatusOK, []byte("good"))
	rec := r.next()
	if rec.Why == "" || got.header.Get(proxy.WhyField) != "" {
		t.Errorf("got id %q, %q for the client, want one that it does not see", rec.Why, got.header.Get(proxy.WhyField))
	}
	r.wantLog("peer failed", "exchange.why="+rec.Why)
	if a := rec.Attempts; len(a) != 2 || a[0].Phase != upstream.Connecting.String() || a[1].Phase != "" || a[1].Err != nil {
		t.Errorf("got attempts %+v, want only the first failed", a)
	}
}

func TestHandler_AnErrorOfTheApplicationIsAnIncident(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			peer := serve(t, wire, answer(upstreamtest.Answer{
				Status: 500, Body: []byte("broken"), Header: []upstreamtest.Field{{Name: "X-Spillway-Why", Value: "another's"}},
			}))
			r := incidentRig(t, at(peer.Addr()), func(s *setup) { s.wire = wire })
			got := r.do("GET", "/", "")
			got.want(t, http.StatusInternalServerError, []byte("broken"))
			if rec := r.wantWhy(got); rec.Scene == nil || rec.Attempts[0].Err != nil || len(got.header.Values(proxy.WhyField)) != 1 {
				t.Errorf("got %+v, fields %q", rec, got.header.Values(proxy.WhyField))
			}
		})
	}
}

func TestHandler_ACutResponseIsAnIncident(t *testing.T) {
	body := pattern(1, 100_000)
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: body, Fault: upstreamtest.CloseInBody}))
	r := incidentRig(t, at(peer.Addr()), nil)
	if got := r.do("GET", "/", ""); got.status != http.StatusOK || got.err == nil {
		t.Errorf("got %d, %v, want a response that is cut", got.status, got.err)
	}
	rec := r.next()
	r.wantLog("peer failed", "exchange.why="+rec.Why)
	if a := &rec.Attempts[0]; rec.Why == "" || !rec.Truncated || a.Phase != upstream.ReadingBody.String() || a.Err == nil {
		t.Errorf("got %+v, want an incident with a failure while reading the body", rec)
	}
}

func TestHandler_ARequestWithoutAPeerIsAnIncident(t *testing.T) {
	f := func(name, message string, cause proxy.Cause, state upstream.State, group func(*upstream.GroupOptions)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peers := at(serve(t, upstreamtest.HTTP{}, good).Addr())
			peers[0].State = state
			r := incidentRig(t, peers, func(s *setup) { s.group = group })
			rec := r.wantWhy(r.do("GET", "/", ""), message)
			if rec.Cause != cause || rec.Scene == nil || len(rec.Attempts) != 1 || rec.Attempts[0].Err == nil || rec.Attempts[0].Run != 0 {
				t.Errorf("got %+v, want the cause %s and an attempt at no process", rec, cause)
			}
		})
	}
	f("nobody", "no live upstreams", proxy.CauseNoPeers, upstream.Away, nil)
	f("held in vain", "no process ready", proxy.CauseNoProcess, upstream.Coming,
		func(g *upstream.GroupOptions) { g.HoldTimeout = hurry })
}

func TestHandler_NothingOfAGoodRequestIsAnIncident(t *testing.T) {
	r := incidentRig(t, at(serve(t, upstreamtest.HTTP{}, good).Addr()), nil)
	r.do("GET", "/", "").want(t, http.StatusOK, []byte("good"))
	if rec := r.next(); rec.Why != "" || rec.Scene != nil {
		t.Errorf("got id %q, scene %v", rec.Why, rec.Scene)
	}
}

func TestHandler_KeepsStderr(t *testing.T) {
	peer := serve(t, upstreamtest.FastCGI{}, answer(upstreamtest.Answer{Status: 500, Stderr: "PHP Fatal error"}))
	r := incidentRig(t, at(peer.Addr()), func(s *setup) { s.wire = upstreamtest.FastCGI{} })
	if rec := r.wantWhy(r.do("GET", "/", "")); rec.Stderr != "PHP Fatal error" {
		t.Errorf("got stderr %q", rec.Stderr)
	}
}
