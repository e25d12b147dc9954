package app_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load asks without a pause until it is ended: half of the clients on connections that are kept, half on new ones.
type load struct {
	stop    chan struct{}
	running sync.WaitGroup
	asked   atomic.Int64

	mu     sync.Mutex // guards all below
	failed []string
}

func startLoad(t *testing.T, url string, clients int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for i := range clients {
		l.running.Go(func() { // ends with stop
			transport := &http.Transport{DisableKeepAlives: i%2 == 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: time.Minute}
			for {
				select {
				case <-l.stop:
					return
				default:
					l.ask(client, url)
				}
			}
		})
	}
	eventually(t, "the load runs", func() bool { return l.asked.Load() > int64(clients) })
	return l
}

func (l *load) ask(client *http.Client, url string) {
	defer l.asked.Add(1)
	response, err := client.Get(url)
	if err == nil {
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		if err == nil && response.StatusCode == http.StatusOK {
			return
		}
		err = errors.Join(fmt.Errorf("status %d", response.StatusCode), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, err.Error())
}

// awaitMore waits for so many more answers.
func (l *load) awaitMore(t *testing.T, n int64) {
	t.Helper()
	enough := l.asked.Load() + n
	eventually(t, "the load goes on", func() bool { return l.asked.Load() >= enough })
}

// end stops the load; a failed request fails the test.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed, the first one: %s", len(l.failed), l.asked.Load(), l.failed[0])
	}
}

// listen takes an address until the test ends.
func listen(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket.Addr().String()
}

// quoteGo is how a text stands in the configurations of these tests.
func quoteGo(s string) string { return strconv.Quote(s) }
