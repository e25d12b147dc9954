package supervisor_test

import (
	"strings"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

func TestRapidFail_GivesUpUntilItIsAsked(t *testing.T) {
	h := newHarness(t, "exit", 2, func(o *supervisor.Options) {
		o.RapidFail = supervisor.RapidFail{Times: 3, Within: time.Hour}
	})
	h.start(t)
	for range 2 {
		if e := h.untilState(t, supervisor.Failed); e.Restarts != 2 || e.Reason != supervisor.ReasonExited {
			t.Errorf("got %+v, want it given up after three starts", e)
		}
	}
	if s := h.Snapshot()[0]; s.State != supervisor.Failed || s.Starts != 3 || s.Number != 1 {
		t.Errorf("got %+v", s)
	}
	records := h.records(t, "process given up")
	if r := records[0]; len(records) != 2 || r["level"] != "ERROR" || r["failures"] != 3.0 || r["err"] != "exit code 3" ||
		!strings.HasSuffix(r["output"].(string), "line 24") {
		t.Errorf("got records %v", records)
	}
	if n := h.Totals(); n.GivenUp != 2 || n.Exits[supervisor.ReasonExited] != 6 {
		t.Errorf("got %+v, want two given up", n)
	}
	h.become(t, "serve")
	h.Recycle(h.opts.Ports[1], supervisor.ReasonRestart)
	h.awaitReady(t, 1)
	if err := h.Restart(bounded(t)); err != nil {
		t.Error(err)
	}
	h.awaitReady(t, 2)
}
