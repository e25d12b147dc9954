//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// do has a task do something, and waits for its end.
func do(tb testing.TB, l *loop, what func(t *Task)) {
	tb.Helper()
	done := make(chan struct{})
	l.post(work{job: func(t *Task) {
		defer close(done)
		what(t)
	}})
	<-done
}

// anotherLoop returns a loop that nothing else uses.
func anotherLoop(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	go l.run() // as long as the process
	return l
}

// ends returns the two ends of a connection; the near one is a loop's.
func ends(tb testing.TB) (near *descriptor, far net.Conn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	c, err := Dial(nil, "tcp", listener.Addr().String(), time.Time{})
	if err != nil {
		tb.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.Close()
		far.Close()
	})
	near = c.(*descriptor)
	near.attend() // as after its first wait
	return near, far
}

// TestTask_ServesManyClients has a loop serve clients that send and read at the same time, in pieces that do not fit.
func TestTask_ServesManyClients(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		a := NewAcceptor(listener)
		t.Cleanup(func() { a.Close() })
		go func() { // ends with Close
			for {
				c, err := a.Accept()
				if err != nil {
					return
				}
				s := New(c)
				s.Await(func(t *Task) { // echoes
					defer s.Close()
					s.Bind(t)
					buf := make([]byte, 10000)
					for {
						n, err := s.Read(buf)
						if _, failed := s.Write(buf[:n]); err != nil || failed != nil {
							return
						}
					}
				})
			}
		}()
		var clients sync.WaitGroup
		for i := range 50 {
			clients.Go(func() {
				c, err := net.Dial(network, listener.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				want := bytes.Repeat([]byte{byte(i), 1, 2, 3, 4, 5, 6}, 100000)
				go func() {
					_, _ = c.Write(want)
					_ = c.(interface{ CloseWrite() error }).CloseWrite()
				}()
				if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: got %d other bytes, %v", network, len(got), err)
				}
			})
		}
		clients.Wait()
	}
}

func TestTask_LeavesAndReturns(t *testing.T) {
	near, far := ends(t)
	freed := make(chan struct{})
	waiting := make(chan struct{})
	go do(t, near.loop, func(*Task) {
		<-waiting
		close(freed)
	})
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		for range 3 {
			task.Leave()
			close(waiting)
			<-freed // by a task of the same loop
			if task.place.Load() != outside {
				t.Error("got a task in its loop after Leave")
			}
			task.Return()
			if task.place.Load() != inside {
				t.Error("got a task outside of its loop after Return")
			}
			waiting = make(chan struct{})
			go func() { _, _ = far.Write([]byte("x")) }()
			if n, err := near.Read(make([]byte, 10)); n != 1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		}
	})
}

// TestLoop_GoesOnWithoutATaskThatHoldsItUp is about a task that breaks the rule.
func TestLoop_GoesOnWithoutATaskThatHoldsItUp(t *testing.T) {
	near, far := ends(t)
	freed := make(chan struct{})
	do(t, near.loop, func(task *Task) {
		near.loop.post(work{job: func(*Task) { close(freed) }})
		<-freed
		near.Bind(task)
		_, _ = far.Write([]byte("x"))
		if n, err := near.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("got %d, %v outside", n, err)
		}
		task.Return()
		go func() { _, _ = far.Write([]byte("x")) }()
		if n, err := near.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("got %d, %v inside again", n, err)
		}
	})
}

func TestSocket_AwaitEnds(t *testing.T) {
	for name, end := range map[string]func(near *descriptor, far net.Conn){
		"by data":                   func(_ *descriptor, far net.Conn) { _, _ = far.Write([]byte("x")) },
		"by the end":                func(_ *descriptor, far net.Conn) { far.Close() },
		"by a deadline":             func(near *descriptor, _ net.Conn) { _ = near.SetReadDeadline(time.Now().Add(time.Millisecond)) },
		"by a deadline in the past": func(near *descriptor, _ net.Conn) { _ = near.SetReadDeadline(time.Unix(1, 0)) },
		"by Close":                  func(near *descriptor, _ net.Conn) { near.Close() },
	} {
		for _, before := range []bool{false, true} {
			near, far := ends(t)
			done := make(chan int)
			if before {
				end(near, far)
			}
			near.Await(func(t *Task) {
				near.Bind(t)
				n, _ := near.Read(make([]byte, 10))
				done <- n
			})
			if !before {
				end(near, far)
			}
			if n := <-done; n == 1 != (name == "by data") {
				t.Errorf("%s: got %d bytes", name, n)
			}
		}
	}
}

func untouched(tb testing.TB, d *descriptor) (is bool) {
	tb.Helper()
	do(tb, d.loop, func(t *Task) {
		d.Bind(t)
		is = d.Untouched()
		d.Bind(nil) // the test reads on a goroutine of its own
	})
	return is
}

func TestDescriptor_KnowsWithoutAsking(t *testing.T) {
	near, far := ends(t)
	buf := make([]byte, 10)
	if !untouched(t, near) {
		t.Error("got touched before anything came")
	}
	_, _ = far.Write([]byte("0123456789"))
	if n, err := near.Read(buf); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if untouched(t, near) {
		t.Error("got untouched although there may be more than the buffer took")
	}
}

// TestDescriptor_AwaitsWithoutMemory: AwaitRead returns when there is something, and leaves it there.
func TestDescriptor_AwaitsWithoutMemory(t *testing.T) {
	near, far := ends(t)
	for _, text := range []string{"first", "second"} {
		done := make(chan struct{})
		go func() { // ends when something has come
			near.AwaitRead()
			close(done)
		}()
		for near.in.state.Load() != awaitedBare {
			runtime.Gosched()
		}
		_, _ = far.Write([]byte(text))
		<-done
		buf := make([]byte, 10)
		if n, err := near.Read(buf); err != nil || string(buf[:n]) != text {
			t.Errorf("got %q, %v after the wait, want %q", buf[:n], err, text)
		}
	}
	_ = near.SetReadDeadline(time.Unix(1, 0))
	near.AwaitRead()
	if n, err := near.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes and %v after the deadline", n, err)
	}
	near.Close()
	near.AwaitRead()
}

func TestDescriptor_LearnsOfTheEnd(t *testing.T) {
	near, far := ends(t)
	far.Close()
	for untouched(t, near) { // until the loop has been told
	}
}

func TestDial_ReachesEveryKindOfAddress(t *testing.T) {
	for _, listen := range []struct{ network, address string }{
		{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"unix", filepath.Join(t.TempDir(), "s")}, {"unix", "@" + t.TempDir()},
	} {
		t.Run(listen.address, func(t *testing.T) {
			listener, err := net.Listen(listen.network, listen.address)
			if err != nil {
				t.Skip(err) // a machine without IPv6
			}
			defer listener.Close()
			near, err := Dial(nil, listen.network, listener.Addr().String(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			far, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			if _, ok := near.(*descriptor); !ok {
				t.Errorf("got a %T, want one that a loop waits for", near)
			}
			if got, want := near.RemoteAddr().String(), listener.Addr().String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestDial_SaysWhatIsWrong(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	if _, err := Dial(nil, "tcp", address, time.Time{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want that it is refused", err)
	}
	if _, err := Dial(nil, "unix", filepath.Join(t.TempDir(), "none"), time.Time{}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v, want that there is none", err)
	}
	if _, err := Dial(nil, "tcp", "name.invalid:80", time.Now().Add(-time.Second)); err == nil {
		t.Error("got a connection to nobody")
	}
}

// TestDial_HasADeadline connects to somebody who has no room for one more connection.
func TestDial_HasADeadline(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.(*syscall.SockaddrInet4).Port}).String()
	for range 10 {
		c, err := Dial(nil, "tcp", address, time.Now().Add(20*time.Millisecond))
		if err == nil {
			t.Cleanup(func() { c.Close() })
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
		return
	}
	t.Error("got ten connections where there is room for one")
}

// TestTask_UsesTheSocketOfAnotherLoop: a kept connection to a peer is used by whoever needs one, and moves to his loop.
func TestTask_UsesTheSocketOfAnotherLoop(t *testing.T) {
	other := anotherLoop(t)
	near, far := ends(t)
	echo := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than the sockets take
	go func() {                                             // ends with the connection
		_, _ = io.Copy(far, far)
	}()
	do(t, other, func(task *Task) {
		if near.Near(task) {
			t.Error("got a socket that is near before it is used")
		}
		near.Bind(task)
		if !near.Near(task) {
			t.Error("got a socket that is not near when it is used")
		}
		wrote := make(chan error)
		got := make([]byte, len(echo))
		go func() { // beside the task
			for n := 0; n < len(got); {
				m, err := near.ReadAside(got[n:])
				if n += m; err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		}()
		if _, err := near.Write(echo); err != nil {
			t.Error(err)
		}
		task.Leave()
		if err := <-wrote; err != nil || !bytes.Equal(got, echo) {
			t.Errorf("got other bytes, %v", err)
		}
		task.Return()
		for range 100 {
			if _, err := near.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			if n, err := near.Read(got); n != 1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		}
	})
}

// TestDescriptor_LosesNothingWhenItMoves has it move before each answer is there, on its way or read.
func TestDescriptor_LosesNothingWhenItMoves(t *testing.T) {
	other := anotherLoop(t)
	near, far := ends(t)
	go func() { // ends with the connection
		_, _ = io.Copy(far, far)
	}()
	here := near.loop
	for i := range 1000 {
		do(t, other, func(task *Task) {
			near.Bind(task)
			_, _ = near.Write([]byte("x"))
			if i%2 == 0 {
				near.AwaitRead()
			}
			near.Bind(nil)
		})
		do(t, here, func(task *Task) {
			near.Bind(task)
			if n, err := near.Read(make([]byte, 2)); n != 1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
			near.Bind(nil)
		})
	}
	do(t, other, func(task *Task) {
		near.Bind(task)
		far.Close()
		if n, err := near.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("got %d, %v after the end", n, err)
		}
	})
}

func TestLoop_EndsTasksThatAreNotNeeded(t *testing.T) {
	l := anotherLoop(t)
	const many = 10
	all, free := sync.WaitGroup{}, make(chan struct{})
	all.Add(many)
	for range many {
		l.post(work{job: func(t *Task) {
			t.Leave()
			all.Done()
			<-free
		}})
	}
	all.Wait()
	close(free)
	for l.idling.Load() < many { // until they are back
		runtime.Gosched()
	}
	for range 2 { // the first one finds that all have been needed
		l.post(work{trim: true})
	}
	do(t, l, func(*Task) {})
	if got := l.idling.Load(); got != 0 && got != 1 {
		t.Errorf("got %d tasks without a job, want those that were needed since", got)
	}
}
