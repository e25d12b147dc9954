package relay_test

import (
	"bytes"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"spillway/proxy/errorlog"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// The fault matrix: what a peer can do wrong, and what comes of it. The table, of which the rows are in
// faultmatrix_rows_test.go, is the documentation. Each row is run with each language that can be spoken so wrong:
//
//  1. alone: next_upstream is off, so that the client gets what the fault leads to;
//  2. with another peer and nginx's next_upstream, "error timeout": what a GET and what a POST get then;
//  3. after each, a request to the same peer that goes well, so that nothing of the fault is left on a connection;
//  4. at the end no slot, connection, goroutine, descriptor, buffer and spill file is left.

// hang is the timeout of rows that run into one; what goes well in them takes less on the slowest machine.
const hang = time.Second

// fault is a row.
type fault struct {
	name   string
	wires  string // the languages that can have it; empty: all
	answer upstreamtest.Answer
	peer   func(t *testing.T) string // starts another peer than the answer's, and returns its address
	upload int                       // bytes of the request body; 0: a GET is enough

	status int    // alone: for the client
	cut    bool   // alone: the body does not come to its end, and the client can tell
	words  string // alone: in the error log, in nginx's words; empty: nothing is logged
	silent bool   // alone: the words are there or not, as the peer's bytes happen to arrive
	counts bool   // against max_fails
	get    int    // with another peer; 0: as alone
	post   int    // with another peer; 0: as alone
}

// spoken says whether the row is about a language.
func (f *fault) spoken(wire upstreamtest.Wire) bool {
	return f.wires == "" || strings.Contains(" "+f.wires+" ", " "+wire.Name()+" ")
}

func TestFaultMatrix(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			start(t, setup{wire: wire, peers: at(serve(t, wire, good).Addr())}).do("GET", "/", "") // what runs as long as the process does
			goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
			t.Run("faults", func(t *testing.T) { // returns when all have ended
				for _, f := range faults() {
					if f.spoken(wire) {
						t.Run(f.name, func(t *testing.T) { f.run(t, wire) })
					}
				}
			})
			until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
			until(t, "all descriptors are closed", func() bool { return openDescriptors() <= descriptors })
		})
	}
}

func (f *fault) run(t *testing.T, wire upstreamtest.Wire) {
	t.Helper()
	t.Parallel()
	method, body := "GET", ""
	if f.upload > 0 {
		method, body = "POST", string(pattern(7, f.upload))
	}
	t.Run("alone", func(t *testing.T) { f.alone(t, wire, method, body) })
	if f.upload == 0 {
		t.Run("another peer, GET", func(t *testing.T) { f.another(t, wire, "GET", f.get) })
		t.Run("another peer, POST", func(t *testing.T) { f.another(t, wire, "POST", f.post) })
	}
}

// alone has the client get what the fault leads to.
func (f *fault) alone(t *testing.T, wire upstreamtest.Wire, method, body string) {
	t.Helper()
	faulty, server := f.start(t, wire)
	r := f.rig(t, wire, faulty, 0)
	got := r.do(method, "/fault", body)
	rec := r.next()
	if got.status != f.status || rec.Status != f.status {
		t.Errorf("got status %d, in the record %d, want %d", got.status, rec.Status, f.status)
	}
	if cut := got.err != nil; cut != f.cut || rec.Truncated != f.cut {
		t.Errorf("got a body that is cut: %t (%v), in the record %t, want %t", cut, got.err, rec.Truncated, f.cut)
	}
	if len(rec.Attempts) != 1 {
		t.Errorf("got %d attempts, want 1", len(rec.Attempts))
	}
	f.wantWords(t, r)
	f.wantHealth(t, r)
	f.wantUntouched(t, r, server)
}

// another has a second peer that works.
func (f *fault) another(t *testing.T, wire upstreamtest.Wire, method string, status int) {
	t.Helper()
	if status == 0 {
		status = f.status
	}
	faulty, server := f.start(t, wire)
	r := f.rig(t, wire, faulty, relay.OnError|relay.OnTimeout)
	if got := r.do(method, "/fault", "").status; got != status {
		t.Errorf("got status %d, want %d", got, status)
	}
	r.next()
	f.wantHealth(t, r)
	f.wantUntouched(t, r, server)
}

// start starts the peer that goes wrong, once; server is nil when it is not one of upstreamtest's.
func (f *fault) start(t *testing.T, wire upstreamtest.Wire) (addr string, server *upstreamtest.Server) {
	t.Helper()
	if f.peer != nil {
		return f.peer(t), nil
	}
	server = serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
		if r.Target == "/fault" {
			return f.answer
		}
		return upstreamtest.Answer{Body: pattern(2, 9000)}
	})
	addr = server.Addr()
	return addr, server
}

// rig has the faulty peer first, and one that works.
func (f *fault) rig(t *testing.T, wire upstreamtest.Wire, faulty string, on relay.Condition) *rig {
	t.Helper()
	healthy := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(2, 9000)}))
	peers := at(faulty, healthy.Addr())
	peers[0].FailTimeout = time.Nanosecond // so that it is asked again at once
	return start(t, setup{
		wire: wire, peers: peers, log: nginxWords(t),
		options: func(o *relay.Options) {
			o.Retry.On, o.BodyMemory = on, 2<<20
			if f.hangs() {
				o.Timeouts.Connect, o.Timeouts.Read = hang, hang
			}
		},
	})
}

// hangs says whether a timeout has to end the attempt.
func (f *fault) hangs() bool { return f.status == 504 || strings.Contains(f.words, "timed out") }

// nginxWords makes the error log what the operator reads.
func nginxWords(t *testing.T) func(io.Writer) slog.Handler {
	t.Helper()
	return func(out io.Writer) slog.Handler {
		handler, err := errorlog.New(errorlog.Options{Out: out, Level: slog.LevelInfo})
		if err != nil {
			t.Fatal(err)
		}
		return handler
	}
}

// wantWords checks that the log has the words, in one line.
func (f *fault) wantWords(t *testing.T, r *rig) {
	t.Helper()
	text := r.log.String()
	if f.words == "" || f.silent && text == "" {
		if text != "" {
			t.Errorf("got in the log:\n%s", text)
		}
		return
	}
	pieces := strings.Split(f.words, " ... ")
	for line := range strings.Lines(text) {
		if hasInOrder(line, pieces) {
			if !strings.Contains(line, `, client: 127.0.0.1, server: site.test, request: "`) {
				t.Errorf("got %s, want the request in it", line)
			}
			return
		}
	}
	t.Errorf("got in the log:\n%swant %q in a line", text, f.words)
}

// hasInOrder says whether a line has all pieces, one after the other.
func hasInOrder(line string, pieces []string) bool {
	for _, piece := range pieces {
		_, rest, found := strings.Cut(line, piece)
		if !found {
			return false
		}
		line = rest
	}
	return true
}

// wantHealth checks what the fault has done to the peer's account.
func (f *fault) wantHealth(t *testing.T, r *rig) {
	t.Helper()
	want := 0
	if f.counts {
		want = 1
	}
	if got := r.group.Peers()[0].Fails(); got != want {
		t.Errorf("got %d failures of the peer, want %d", got, want)
	}
}

// wantUntouched checks that the next exchanges at the peer go well, and that only idle connections are left.
func (f *fault) wantUntouched(t *testing.T, r *rig, server *upstreamtest.Server) {
	t.Helper()
	if server == nil {
		return
	}
	before := len(server.Requests())
	for range 4 {
		got := r.do("GET", "/after", "")
		got.want(t, 200, pattern(2, 9000))
		r.next()
	}
	if len(server.Requests()) == before {
		t.Error("the peer was not asked again")
	}
	until(t, "no connection but idle ones", func() bool {
		return r.idlePeers() && server.Open() <= int(r.group.Idle())
	})
}

// repeated is text n times.
func repeated(text string, n int) string { return string(bytes.Repeat([]byte(text), n)) }
