package proxy_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"spillway/proxy"
)

// incidents is a fixture whose front gives ids to what fails; handle is its only handler.
func incidents(t *testing.T, handle handler, hide bool) *fixture {
	t.Helper()
	routes := []*proxy.Route{{Path: "/", Handler: handle}}
	return newFixtureOf(t, routes, proxy.Options{Incidents: proxy.NewIncidents(), HideWhy: hide})
}

func TestIncidents_GiveNoIDTwice(t *testing.T) {
	seen := map[string]bool{}
	before := ""
	f := incidents(t, func(ex *proxy.Exchange) error {
		ex.Incident()
		return nil
	}, false)
	for range 10_000 {
		id := f.serve("/", 0).Why()
		if len(id) != 8 || proxy.CleanID(id) != id || seen[id] {
			t.Fatalf("got id %q, want one of 8 digits that was not given before", id)
		}
		if before != "" && id[0] == before[0] {
			t.Fatalf("got %q after %q, want two that begin differently", id, before)
		}
		seen[id], before = true, id
	}
}

func TestCleanID_ReadsWhatIsTyped(t *testing.T) {
	f := func(typed, want string) {
		t.Helper()
		if got := proxy.CleanID(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
	f("k7m39pqx", "k7m39pqx")
	f("K7M3-9PQX", "k7m39pqx")
	f(" k7m3 9pqx ", "k7m39pqx")
	f("OoIiLl00", "00111100")
	f("", "")
	f("k7m39pq", "")
	f("k7m39pqxx", "")
	f("k7m39pqu", "") // no digit of it
	f("k7m39pq/", "")
	f("../../..", "")
}

func FuzzCleanID(f *testing.F) {
	f.Add("k7m39pqx")
	f.Add("K7M3-9PQX ")
	f.Add("\u212a7m39pqx") // the sign of Kelvin is no k
	f.Fuzz(func(t *testing.T, typed string) {
		id := proxy.CleanID(typed)
		if id != "" && (len(id) != 8 || proxy.CleanID(id) != id || strings.Trim(id, "0123456789abcdefghjkmnpqrstvwxyz") != "") {
			t.Errorf("%q: got %q, which is none", typed, id)
		}
	})
}

// The id is on the page, in the lines of the error log that come after the first failure, and nowhere when nothing fails.
func TestExchange_AnErrorOfOursIsAnIncident(t *testing.T) {
	f := incidents(t, func(ex *proxy.Exchange) error {
		ex.Log().Error("before", "exchange", ex)
		return &proxy.StatusError{Code: 502, Cause: proxy.CauseFailed, Err: errors.New("broken")}
	}, false)
	ex := f.serve("/", 0)
	ex.Log().Error("after", "exchange", ex)
	id := ex.Why()
	if id == "" || ex.Told() != id || !bytes.Contains(ex.Bytes, []byte("<center>reference "+id+"</center>")) {
		t.Errorf("got id %q, told %q, on the page\n%s", id, ex.Told(), ex.Bytes)
	}
	if ex.Failure == nil || ex.Failure.Error() != "broken" {
		t.Errorf("got failure %v, want the handler's", ex.Failure)
	}
	before, after, _ := strings.Cut(f.log.String(), "\n")
	if strings.Contains(before, "why:") || !strings.HasSuffix(strings.TrimRight(after, "\r\n"), `, why: "`+id+`"`) {
		t.Errorf("got log\n%s", f.log.String())
	}
	ex.Finish(nil)
	ex.Reset()
	if ex.Why() != "" || ex.Failure != nil {
		t.Error("the next exchange has the id, too")
	}
}

func TestExchange_WhatIsAnIncident(t *testing.T) {
	f := func(name string, hide bool, handle handler, incident, told bool) {
		t.Helper()
		ex := incidents(t, handle, hide).serve("/", 0)
		tell := ex.Told()
		ex.Finish(nil)
		if id := ex.Why(); (id != "") != incident || (tell != "") != told || told && tell != id {
			t.Errorf("%s: got id %q, told %q", name, id, tell)
		}
	}
	answer := func(status int) handler {
		return func(ex *proxy.Exchange) error { ex.Response.SetStatusCode(status); return nil }
	}
	fail := func(code int) handler {
		return func(*proxy.Exchange) error { return &proxy.StatusError{Code: code} }
	}
	f("200", false, answer(200), false, false)
	f("404 of the application", false, answer(404), false, false)
	f("500 of the application", false, answer(500), true, true)
	f("the same, hidden", true, answer(500), true, false)
	f("413 of ours", false, fail(413), false, false)
	f("499", false, fail(proxy.StatusClientGone), false, false)
	f("503 of ours", false, fail(503), true, true)
	f("the same, hidden", true, fail(503), true, false)
	f("a panic", false, func(*proxy.Exchange) error { panic("no") }, true, true)
	f("200 after a failed attempt", false, func(ex *proxy.Exchange) error {
		ex.Incident()
		return answer(200)(ex)
	}, true, false)
}

func TestExchange_HidesTheIDOnThePage(t *testing.T) {
	ex := incidents(t, func(*proxy.Exchange) error { return &proxy.StatusError{Code: 503} }, true).serve("/", 0)
	if !bytes.Equal(ex.Bytes, proxy.Page(503)) {
		t.Errorf("got page\n%s", ex.Bytes)
	}
}

func TestExchange_KeepsTheLastOfStderr(t *testing.T) {
	ex := &proxy.Exchange{}
	ex.AddStderr([]byte(strings.Repeat("a", 3000)))
	ex.AddStderr([]byte("the end"))
	if got := string(ex.Stderr); len(got) != 2048 || !strings.HasSuffix(got, "aaathe end") {
		t.Errorf("got %d bytes, %q", len(got), got[max(0, len(got)-20):])
	}
}
