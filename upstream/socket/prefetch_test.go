//go:build linux && (amd64 || arm64)

package socket

import (
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestUses_NotesTheLast(t *testing.T) {
	Uses(nil, new(int))
	task, things := &Task{}, [usesOfTask + 2]things{}
	for i := range things {
		Uses(task, &things[i])
		Uses(task, &things[i])
	}
	for i := 2; i < len(things); i++ {
		if want := (memory{unsafe.Pointer(&things[i]), unsafe.Sizeof(things[i])}); !slices.Contains(task.uses[:], want) {
			t.Errorf("thing %d of %d is not noted", i, len(things))
		}
	}
}

func TestPrefetch_TakesAnyAddress(*testing.T) {
	for _, at := range []uintptr{0, 1, 1 << 20, 1 << 47, ^uintptr(0) - 10} {
		prefetch(at, 0)
		prefetch(at, 1)
		prefetch(at, 1000)
	}
}

// things are what a task of the benchmark uses each time: as much as an exchange does, and as there, one tells where the next is.
type things [64]struct {
	next int
	_    [56]byte
}

func newThings() *things {
	t := &things{}
	for i := range t {
		t[i].next = (37*i + 11) % len(t)
	}
	return t
}

// BenchmarkUses is what it takes to let 4,000 tasks go on, each of which reads a byte and uses its things: with and without saying
// that it does.
func BenchmarkUses(b *testing.B) {
	for _, says := range []bool{false, true} {
		b.Run(fmt.Sprintf("says=%v", says), func(b *testing.B) {
			l := loops()[0]
			const n = 4000
			far, left := make([]int, n), make(chan struct{}, n)
			for i := range far {
				pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
				if err != nil {
					b.Fatal(err)
				}
				far[i] = pair[1]
				near, err := newDescriptor(pair[0], l, "unix")
				if err != nil {
					b.Fatal(err)
				}
				l.post(work{job: func(t *Task) { // ends with the connection
					near.Bind(t)
					mine, at, buf := newThings(), 0, make([]byte, 8)
					if says {
						Uses(t, mine)
					}
					for {
						n, err := near.Read(buf)
						if err != nil {
							break
						}
						for range mine {
							at = mine[at].next
						}
						for range n {
							left <- struct{}{}
						}
					}
					near.Close()
					left <- struct{}{}
				}})
			}
			one := []byte{1}
			for b.Loop() {
				for _, fd := range far {
					_, _ = unix.Write(fd, one)
				}
				for range far {
					<-left
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/task")
			for _, fd := range far {
				unix.Close(fd)
			}
			for range far {
				<-left
			}
		})
	}
}
