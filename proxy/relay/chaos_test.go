package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// TestHandler_NothingLeaksBetweenExchanges sends requests of mixed sizes from many clients, some of which leave, to peers
// some of which go wrong. Each response is made of its request's number and checked byte by byte; the rig checks at its
// end that nothing is left.
func TestHandler_NothingLeaksBetweenExchanges(t *testing.T) {
	const clients, requests = 12, 40
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				r := start(t, setup{
					wire: wire,
					peers: at(serve(t, wire, chaotic).Addr(), serve(t, wire, chaotic).Addr(),
						serve(t, wire, chaotic).Addr(), refusing(t)),
					options: func(o *relay.Options) { o.Unbuffer, o.Limits.Buffers, o.BodyMemory = unbuffer, 2, 4096 },
				})
				var done sync.WaitGroup
				for id := range clients {
					done.Go(func() {
						random := rand.New(rand.NewPCG(1, uint64(id)))
						for number := range requests {
							chaoticRequest(t, r, random, 1000*id+number, unbuffer)
						}
					})
				}
				done.Wait()
				for range clients * requests {
					r.next()
				}
				until(t, "the peers are free", r.idlePeers)
			}
		})
	}
}

// chaotic answers "/number/size" with the body that belongs to the number, and goes wrong for some of them.
func chaotic(r *upstreamtest.Request) upstreamtest.Answer {
	number, size := 0, 0
	_, _ = fmt.Sscanf(r.Target, "/%d/%d", &number, &size)
	a := upstreamtest.Answer{
		Body: append(pattern(number, size), r.Body()...), Undeclared: number%3 == 0,
		Header: []upstreamtest.Field{{Name: "X-Number", Value: fmt.Sprint(number)}},
	}
	if number%5 == 0 {
		a.Header = append(a.Header, upstreamtest.Field{Name: fmt.Sprintf("X-Only-%d", number), Value: "1"})
	}
	switch number % 20 {
	case 3:
		a.Fault, a.Undeclared = upstreamtest.CloseInBody, false // else it may be how the body ends
	case 7:
		a.Fault = upstreamtest.CloseAfter
	case 11:
		a.Fault, a.Undeclared = upstreamtest.ResetInBody, a.Undeclared && resetWords != "" // where a reset looks like an end, as above
	case 17:
		if r.Sequence > 1 {
			a.Fault = upstreamtest.CloseBeforeHead
		}
	}
	return a
}

// chaoticRequest makes one exchange and checks what comes of it. Some clients leave before the head, some in the body.
func chaoticRequest(t *testing.T, r *rig, random *rand.Rand, number int, unbuffer bool) {
	t.Helper()
	size, sent := random.IntN(1<<random.IntN(18)), pattern(number+1, random.IntN(1<<random.IntN(15)))
	c := r.connect()
	defer c.Close()
	c.send(request("PUT", fmt.Sprintf("/%d/%d", number, size), string(sent)))
	leaves := random.IntN(6)
	if leaves == 0 {
		return
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil && unbuffer && (number%20 == 3 || number%20 == 11) {
		return // cut after the head, which leaves with the first bytes of the body
	}
	if err != nil {
		t.Errorf("request %d: %v", number, err)
		return
	}
	want := append(pattern(number, size), sent...)
	if leaves == 1 {
		part := make([]byte, len(want)/2)
		n, _ := io.ReadFull(resp.Body, part)
		part, want = part[:n], want[:n]
		if resp.StatusCode == http.StatusOK && !bytes.Equal(part, want) {
			t.Errorf("request %d: got bytes of another", number)
		}
		return
	}
	got, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode != http.StatusOK:
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("X-Number") != "" {
			t.Errorf("request %d: got status %d, number %q", number, resp.StatusCode, resp.Header.Get("X-Number"))
		}
		return
	case err != nil && !bytes.HasPrefix(want, got):
		t.Errorf("request %d: got bytes of another before the cut", number)
	case err == nil && !bytes.Equal(got, want):
		t.Errorf("request %d: got %d bytes that look complete, want %d", number, len(got), len(want))
	}
	checkFields(t, resp.Header, number)
}

// checkFields checks that a response has the fields of its own number and of no other.
func checkFields(t *testing.T, header http.Header, number int) {
	t.Helper()
	if got := header.Get("X-Number"); got != fmt.Sprint(number) {
		t.Errorf("request %d: got X-Number %q", number, got)
	}
	for name := range header {
		if only, ok := strings.CutPrefix(name, "X-Only-"); ok && only != fmt.Sprint(number) {
			t.Errorf("request %d: got %s", number, name)
		}
	}
}
