package supervisor

import (
	"errors"
	"testing"
	"time"
)

func TestProcess_CountsWhatFailed(t *testing.T) {
	opts := &Options{RapidFail: RapidFail{Times: 2, Within: time.Hour}}
	begin := time.Now()
	ended := func(reason Reason, code int, ready time.Duration) *run {
		r := &run{decisions: decisions{reason: reason, exit: Exit{Code: code, At: begin.Add(ready)}}}
		if ready > 0 {
			r.readySince = begin
		}
		return r
	}
	f := func(want bool, r *run, err error) {
		t.Helper()
		p := &process{opts: opts}
		first, second := p.failed(r, err), p.failed(r, err)
		if first || second != want {
			t.Errorf("%+v, %v: got %t and %t, want false and %t", r, err, first, second, want)
		}
	}
	f(true, nil, errors.New("no such program"))
	f(false, nil, &takenError{port: 9001, err: errors.New("in use")})
	f(true, ended(ReasonExited, 1, time.Hour), nil)
	f(true, ended(ReasonExited, 0, 0), nil)
	f(true, ended(ReasonExited, 0, steadyTime/2), nil)
	f(false, ended(ReasonExited, 0, steadyTime), nil)
	f(true, ended(ReasonNotReady, -1, 0), nil)
	f(false, ended(ReasonBusyTimeout, -1, time.Hour), nil)
}

func TestFailures_AreForgotten(t *testing.T) {
	var f failures
	limit := RapidFail{Times: 3, Within: time.Minute}
	now := time.Now()
	for _, after := range []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute} {
		if f.add(limit, now.Add(after)) {
			t.Errorf("given up after %v", after)
		}
	}
	if !f.add(limit, now.Add(3*time.Minute)) {
		t.Error("not given up after three failures in a minute")
	}
	if f := (failures{}); f.add(RapidFail{}, now) || len(f) != 0 {
		t.Error("given up without a limit")
	}
}
