//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inCompany has a task that near is bound to do something, while another one is to go on in the same turn.
func inCompany(tb testing.TB, near *descriptor, what func(t *Task)) {
	tb.Helper()
	do(tb, near.loop, func(t *Task) {
		near.Bind(t)
		join(t)
		what(t)
		near.Bind(nil)
	})
}

// join gives the task company.
func join(t *Task) { t.loop.queue = append(t.loop.queue, work{job: func(*Task) {}}) }

func post(tb testing.TB, near *descriptor, text string) {
	tb.Helper()
	if n := near.Post([]byte(text[:1]), [][]byte{[]byte(text[1:]), nil}); n != len(text) {
		tb.Errorf("posted %d bytes, want %d", n, len(text))
	}
}

// fill writes until the socket takes no more, and returns how much it took.
func fill(near *descriptor) (size int64) {
	for {
		pieces := net.Buffers{make([]byte, 64<<10)}
		n := near.WriteNow(&pieces)
		if size += n; n == 0 {
			return size
		}
	}
}

func expect(tb testing.TB, far net.Conn, want string) {
	tb.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || string(got) != want {
		tb.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestPost_WaitsForTheEndOfTheTurn(t *testing.T) {
	near, far := ends(t)
	inCompany(t, near, func(*Task) {
		post(t, near, "hello")
		_ = far.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d, %v while the task goes on", n, err)
		}
	})
	_ = far.SetReadDeadline(time.Time{})
	expect(t, far, "hello")
}

// TestPost_LeavesItToWrite: nothing is posted where a Write is as good, or has to say what is wrong.
func TestPost_LeavesItToWrite(t *testing.T) {
	near, far := ends(t)
	refuses := func(why string, p []byte) {
		t.Helper()
		if n := near.Post(p, nil); n != 0 {
			t.Errorf("posted %d bytes %s", n, why)
		}
	}
	refuses("without a task", []byte("x"))
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		refuses("for a task alone", []byte("x"))
		join(task)
		refuses("that are more than a small message", make([]byte, maxPost+1))
		refuses("that are none", nil)
		post(t, near, "one")
		refuses("behind others", []byte("x"))
		near.Bind(nil)
	})
	expect(t, far, "one")
	inCompany(t, near, func(task *Task) {
		task.Leave()
		refuses("outside", []byte("x"))
		task.Return()
		join(task)
		_ = near.SetWriteDeadline(time.Unix(1, 0))
		refuses("after the deadline", []byte("x"))
		near.Close()
		refuses("after Close", []byte("x"))
	})
	if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

// TestPost_GoesBeforeWhatIsWrittenLater, in every way to write, by the task and outside of its loop, to a socket that takes it or does not.
func TestPost_GoesBeforeWhatIsWrittenLater(t *testing.T) {
	f := file(t, []byte("later"))
	for name, write := range map[string]func(near *descriptor) error{
		"Write": func(near *descriptor) error {
			_, err := near.Write([]byte("later"))
			return err
		},
		"WriteBuffers": func(near *descriptor) error {
			_, err := near.WriteBuffers(&net.Buffers{[]byte("la"), []byte("ter")})
			return err
		},
		"WriteNow": func(near *descriptor) error {
			for pieces := (net.Buffers{[]byte("later")}); len(pieces) > 0; {
				near.WriteNow(&pieces)
				runtime.Gosched()
			}
			return nil
		},
		"SendFile": func(near *descriptor) error {
			_, err := near.SendFile(f, 0, 5)
			return err
		},
		"CloseWrite": func(near *descriptor) error { return near.CloseWrite() },
		"Close":      func(near *descriptor) error { return near.Close() },
	} {
		for _, full := range []bool{false, true} {
			if full && (name == "CloseWrite" || name == "Close") {
				continue // do not wait
			}
			t.Run(fmt.Sprintf("%s, full=%v", name, full), func(t *testing.T) {
				near, far := ends(t)
				inCompany(t, near, func(task *Task) {
					before := int64(0)
					if full {
						before = fill(near)
					}
					post(t, near, "posted ")
					read := make(chan string)
					go func() { // ends with the other side's sending
						_, _ = io.CopyN(io.Discard, far, before)
						got, _ := io.ReadAll(far)
						read <- string(got)
					}()
					if full {
						task.Leave()
					}
					if err := write(near); err != nil {
						t.Error(err)
					}
					task.Leave()
					near.Close()
					want := "posted later"
					if name == "CloseWrite" || name == "Close" {
						want = "posted "
					}
					if got := <-read; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			})
		}
	}
}

// TestPost_IsSentWhenTheSocketTakesMore, whether anybody writes again or not.
func TestPost_IsSentWhenTheSocketTakesMore(t *testing.T) {
	near, far := ends(t)
	before := int64(0)
	inCompany(t, near, func(*Task) {
		before = fill(near)
		post(t, near, "posted")
	})
	do(t, near.loop, func(*Task) {}) // the turn is over
	if !near.owes() {
		t.Error("got a socket that was full and has taken more")
	}
	if pieces := (net.Buffers{[]byte("x")}); near.WriteNow(&pieces) != 0 {
		t.Error("wrote before what was posted")
	}
	_ = near.SetWriteDeadline(time.Unix(1, 0))
	if n, err := near.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d, %v behind what was posted, want a deadline", n, err)
	}
	_, _ = io.CopyN(io.Discard, far, before)
	expect(t, far, "posted")
}

// TestPost_TellsTheReader what has become of it, unless there is something to read.
func TestPost_TellsTheReader(t *testing.T) {
	near, far := ends(t)
	inCompany(t, near, func(*Task) {
		_, _ = far.Write([]byte("answer"))
		for near.Quiet() {
		}
		_ = syscall.Shutdown(near.fd, syscall.SHUT_WR)
		post(t, near, "question")
		near.loop.sendAll()
		buf := make([]byte, 10)
		if n, err := near.Read(buf); err != nil || string(buf[:n]) != "answer" {
			t.Errorf("got %q, %v, want the answer", buf[:n], err)
		}
	})
	for range 2 {
		operation := (*net.OpError)(nil)
		if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.As(err, &operation) || operation.Op != "write" || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %d, %v, want why the message could not be sent", n, err)
		}
		far.Close()
	}
}

// TestPost_WakesTheReader: whoever waits for the answer to what could not be sent learns that, with memory and without.
func TestPost_WakesTheReader(t *testing.T) {
	for _, bare := range []bool{false, true} {
		near, _ := ends(t)
		inCompany(t, near, func(*Task) {
			_ = syscall.Shutdown(near.fd, syscall.SHUT_WR)
			post(t, near, "question")
			if bare {
				near.AwaitRead()
			}
			if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.EPIPE) {
				t.Errorf("got %d, %v, want why the message could not be sent", n, err)
			}
		})
	}
}

// TestAhead_IsReadInAnyPieces: what the loop has received comes first, then the rest, and all of it counts as not read yet.
func TestAhead_IsReadInAnyPieces(t *testing.T) {
	for _, size := range []int{1, 100, maxAhead - 1, maxAhead, maxAhead + 1, 3 * maxAhead} {
		near, far := ends(t)
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i % 251)
		}
		do(t, near.loop, func(task *Task) {
			near.Bind(task)
			_, _ = far.Write(want)
			near.AwaitRead()
			if near.ahead == nil {
				t.Error("nothing was received ahead")
			}
			near.AwaitRead() // does not wait
			if near.Untouched() || near.Quiet() {
				t.Error("got told that nothing has come")
			}
			got, buf := []byte(nil), make([]byte, 1000)
			for len(got) < size {
				n, err := near.Read(buf[:1+len(got)%len(buf)])
				if got = append(got, buf[:n]...); err != nil {
					t.Error(err)
					break
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got other %d bytes of %d", len(got), size)
			}
			if !near.Quiet() || near.ahead != nil {
				t.Error("got something left")
			}
			near.Bind(nil)
		})
	}
}

// TestAhead_IsSomethingToRead for a job that waits for that.
func TestAhead_IsSomethingToRead(t *testing.T) {
	near, far := ends(t)
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		_, _ = far.Write([]byte("12"))
		near.AwaitRead()
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		near.Bind(nil)
	})
	done := make(chan struct{})
	near.Await(func(*Task) { close(done) })
	<-done
}

// TestAhead_KeepsAReset until it is read.
func TestAhead_KeepsAReset(t *testing.T) {
	near, far := ends(t)
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		_ = far.(*net.TCPConn).SetLinger(0)
		go func() { far.Close() }()
		near.AwaitRead()
		if near.Untouched() || near.Quiet() {
			t.Error("got told that nothing has come")
		}
		if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %d, %v, want the reset", n, err)
		}
		if n, err := near.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("got %d, %v after the reset", n, err)
		}
		near.Bind(nil)
	})
}

// TestStages_KeepTheOrder has many tasks send and read in all ways at the same time.
func TestStages_KeepTheOrder(t *testing.T) {
	t.Run("ring", func(t *testing.T) {
		if newRing() == nil {
			t.Skip("no rings here")
		}
		checkOrder(t)
	})
	t.Run("calls", func(t *testing.T) {
		withoutRings(t)
		checkOrder(t)
	})
	t.Run("broken ring", func(t *testing.T) {
		withoutRings(t)
		for _, l := range loops() {
			do(t, l, func(*Task) {
				if l.ring = newRing(); l.ring != nil {
					_ = syscall.Close(int(l.ring.fd))
				}
			})
		}
		checkOrder(t)
	})
}

// withoutRings takes their rings from the loops until the test is over.
func withoutRings(tb testing.TB) {
	tb.Helper()
	for _, l := range loops() {
		var its *ring
		do(tb, l, func(*Task) { its, l.ring = l.ring, nil })
		tb.Cleanup(func() { do(tb, l, func(*Task) { l.ring = its }) })
	}
}

func checkOrder(t *testing.T) {
	t.Helper()
	const seed = 1
	all := sync.WaitGroup{}
	for i := range 40 {
		near, far := ends(t)
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		want, done := bytes.Buffer{}, make(chan struct{})
		all.Go(func() { // the other side sends back what it gets, and is slow
			buf := make([]byte, 5000)
			for {
				n, err := far.Read(buf)
				if _, failed := far.Write(buf[:n]); err != nil || failed != nil {
					return
				}
				runtime.Gosched()
			}
		})
		near.loop.post(work{job: func(task *Task) {
			near.Bind(task)
			defer close(done)
			buf := make([]byte, 20000)
			for round := range 200 {
				piece := buf[:1+dice.IntN(1<<dice.IntN(14))]
				for i := range piece {
					piece[i] = byte(round + i)
				}
				want.Write(piece)
				if dice.IntN(3) == 0 || near.Post(piece, nil) == 0 {
					if _, err := near.Write(piece); err != nil {
						t.Error(err)
						return
					}
				}
				if dice.IntN(8) == 0 {
					task.Leave()
				}
				for want.Len() > 0 {
					if dice.IntN(2) == 0 {
						near.AwaitRead()
					}
					n, err := near.Read(buf[:1+dice.IntN(len(buf))])
					if !bytes.Equal(buf[:n], want.Next(n)) || err != nil {
						t.Errorf("seed %d, %d: got other %d bytes, %v", seed, i, n, err)
						return
					}
				}
				task.Return()
			}
		}})
		all.Go(func() {
			<-done
			near.Close()
		})
	}
	all.Wait()
}

// BenchmarkStages is what it takes to have 64 tasks answer a small message each, which all come at the same time: with answers that are
// written one by one, and with such that are posted and leave by calls, or by a ring.
func BenchmarkStages(b *testing.B) {
	const clients = 64
	question, answer := make([]byte, 200), make([]byte, 1200)
	for _, way := range []string{"writes", "posts", "ring"} {
		posts := way != "writes"
		b.Run(way, func(b *testing.B) {
			if way != "ring" {
				withoutRings(b)
			}
			far := make([]net.Conn, clients)
			for i := range far {
				c, other := ends(b)
				near := c
				far[i] = other
				var next func(*Task)
				next = func(t *Task) {
					buf := make([]byte, len(question))
					near.Bind(t)
					if _, err := near.Read(buf); err != nil {
						near.Close()
						return
					}
					if !posts || near.Post(answer, nil) == 0 {
						_, _ = near.Write(answer)
					}
					near.Await(next)
				}
				near.Await(next)
			}
			buf, before := make([]byte, len(answer)), cpuTime(b)
			for b.Loop() {
				for _, c := range far {
					_, _ = c.Write(question)
				}
				for _, c := range far {
					_, _ = io.ReadFull(c, buf)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N*clients), "cpu-ns/answer")
			for _, c := range far {
				c.Close()
			}
		})
	}
}

// cpuTime is what the process has taken of the processors.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	use := syscall.Rusage{}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
