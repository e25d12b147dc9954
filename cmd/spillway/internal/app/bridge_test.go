package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spillway/upstream/porttest"
)

// A request that waits for a free slot knows only the ports of before: it is served there before its process moves.
func TestReload_ProcessesMoveAfterTheRequestsThatWait(t *testing.T) {
	addr, port, gate := porttest.Address(t), porttest.Free(t, 4), filepath.Join(t.TempDir(), "gate")
	config := func(first, second int) string {
		return fmt.Sprintf("listen: [%q]\nupstreams: {a: %s}\naccess_log: off", addr, backend{
			processes: 1, version: "1", keys: fmt.Sprintf("ports: [%d, %d]", first, second), upstream: "concurrency: 1",
		})
	}
	r := start(t, config(port[0], port[1]))
	r.awaitReady(t, "a", 1)
	answers := make(chan int, 2)
	request := func(path string) {
		response, err := http.Get("http://" + addr + path)
		if err != nil {
			answers <- 0
			return
		}
		response.Body.Close()
		answers <- response.StatusCode
	}
	go request("/?await=" + url.QueryEscape(gate)) // ends with the gate
	eventually(t, "the slot is taken", func() bool { return r.Status().Upstreams[0].Peers[0].Inflight == 1 })
	go request("/") // ends after the first
	eventually(t, "the other one waits", func() bool { return r.Status().Upstreams[0].Queue.Waiting == 1 })
	reloaded := make(chan error, 1)
	next := parse(t, r.dir, config(port[2], port[3]))
	go func() { reloaded <- r.Reload(t.Context(), next) }() // ends with the requests
	impatient := &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, "new requests wait in the bridge", func() bool {
		before := r.Status().Upstreams[0].Queue.Total
		if response, err := impatient.Get("http://" + addr); err == nil {
			response.Body.Close()
			t.Fatal("a request is served at a process that is busy")
		}
		return r.Status().Upstreams[0].Queue.Total == before
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("got status %d", status)
		}
	}
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
}
