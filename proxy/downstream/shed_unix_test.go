//go:build unix

package downstream_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"spillway/proxy"
)

func TestListener_ShedsIdleClientsForADescriptor(t *testing.T) {
	if allSecured {
		t.Skip("the farewell has to be read here, before the connection is closed")
	}
	bubble(t, func(t bubbled) {
		running, finish := make(chan struct{}), make(chan struct{})
		p := newPipes()
		s := startInMemory(t, p, func(ex *proxy.Exchange) error {
			if string(ex.Path) == "/slow" {
				close(running)
				<-finish
			}
			return hello(ex)
		})
		const idle = 40
		var clients []*client
		for range idle { // one per second: the first has been idle longest
			c := s.patient()
			c.send(getHello).response("GET")
			clients = append(clients, c)
			<-time.After(time.Second)
		}
		busy := s.patient()
		busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		<-running
		p.failing <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		<-time.After(time.Second)
		synctest.Wait()
		if got := s.Stats(); got.Active != idle-32+1 || got.AcceptErrors != 1 {
			t.Errorf("got %+v, want that 32 of %d are gone", got, idle+1)
		}
		for _, c := range clients[:32] {
			c.closed()
		}
		for _, c := range clients[32:] {
			if status, _, _ := c.send(getHello).response("GET"); status != 200 {
				t.Errorf("got %d on a connection that was not idle longest, want 200", status)
			}
		}
		close(finish)
		if status, _, header := busy.response("GET"); status != 200 || header.Get("Closed") != "" {
			t.Errorf("got %d %v for a running request, want 200 and no close", status, header)
		}
		if !strings.Contains(s.log.String(), "idle_closed=32") {
			t.Errorf("got %s, want the number in it", s.log)
		}
	})
}
