package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"spillway/upstream/porttest"
)

// TestApp_QueueSettings: a lane, a client's share, and a deadline do from the file on what they are for.
func TestApp_QueueSettings(t *testing.T) {
	addr, admin := porttest.Address(t), porttest.Address(t)
	r := start(t, fmt.Sprintf(`
upstreams:
  a: %s
servers:
  - listen: [%q]
    locations:
      - {path: /, pass: a, lane: auto}
      - {path: /report, pass: a, lane: bulk}
      - {path: /late, pass: a, deadline: 50ms}
admin: {listen: %q}
`, backend{processes: 2, version: "1", upstream: "concurrency: 1, queue: {length: 100, per_client: 1}"}, addr, admin))
	r.awaitReady(t, "a", 2)
	gate := filepath.Join(t.TempDir(), "gate")
	var reports sync.WaitGroup
	report := func() {
		reports.Go(func() {
			if response, _ := ask(t, "http://"+addr+"/report?await="+gate, nil); response.StatusCode != http.StatusOK {
				t.Errorf("got status %d of a report", response.StatusCode)
			}
		})
	}
	queue := func() (bulk, waiting int) {
		q := r.Status().Upstreams[0].Queue
		return q.Bulk, q.Lanes["bulk"]
	}
	report()
	report()
	eventually(t, "one report runs, and one waits although a process is free", func() bool {
		bulk, waiting := queue()
		return bulk == 1 && waiting == 1
	})
	_, numbers := ask(t, "http://"+admin+"/metrics", nil)
	for _, want := range []string{
		`spillway_lane_waiting{lane="bulk",upstream="a"} 1`, `spillway_bulk_slots{upstream="a"} 1`, `spillway_queue_waiting{upstream="a"} 1`,
	} {
		if !strings.Contains(numbers, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if response, _ := ask(t, "http://"+addr, nil); response.StatusCode != http.StatusOK {
		t.Errorf("got status %d of a page, for which a process is free", response.StatusCode)
	}
	if response, _ := ask(t, "http://"+addr+"/report", nil); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got status %d of a client's second request that waits, want 503", response.StatusCode)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	reports.Wait()
	if response, _ := ask(t, "http://"+addr+"/late?await="+gate+"-never", nil); response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got status %d of a request that is too late, want 504", response.StatusCode)
	}
	if got := r.Status().Upstreams[0].Queue; got.OfClient != 1 || got.Total != 1 || got.Bulk != 0 {
		t.Errorf("got %+v, want one request that waited, and one refused", got)
	}
}
