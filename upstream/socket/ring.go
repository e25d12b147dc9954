//go:build linux && (amd64 || arm64)

package socket

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring makes many transfers in one system call, with io_uring(7). None of them waits: each is over when the call returns, as if it had
// had one of its own. BenchmarkStages shows what that gives.
type ring struct {
	fd          uintptr
	submitted   *uint32 // the end of what the kernel is to take
	submissions []submission
	order       []uint32 // places of submissions
	reaped      *uint32  // the end of what was looked at
	completed   *uint32  // of what is over
	completions []completion
}

// submission is io_uring_sqe, as far as it is used.
type submission struct {
	opcode  uint8
	_       [3]byte
	fd      int32
	_       uint64
	address uint64
	length  uint32
	flags   uint32 // of send(2) and recv(2)
	index   uint64
	_       [24]byte
}

// completion is io_uring_cqe.
type completion struct {
	index  uint64
	result int32 // as the system calls have it; an error is negative
	_      uint32
}

// ringParams is io_uring_params.
type ringParams struct {
	submissions, completions uint32 // how many there are
	_                        [8]uint32
	sq                       struct{ _, tail, _, _, _, _, order, _, _, _ uint32 }
	cq                       struct{ head, tail, _, _, _, completions, _, _, _, _ uint32 }
}

const (
	ringSize = 64 // transfers in a call

	opSend         = 26 // IORING_OP_SEND
	opRecv         = 27 // IORING_OP_RECV
	enterGetEvents = 1  // IORING_ENTER_GETEVENTS

	offsetOfCompletions = 0x8000000  // IORING_OFF_CQ_RING
	offsetOfSubmissions = 0x10000000 // IORING_OFF_SQES
)

// newRing returns nil if the system does not let us have a ring, as in many containers, or transfers would wait.
func newRing() *ring {
	if !rings {
		return nil
	}
	p := ringParams{}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, ringSize, uintptr(unsafe.Pointer(&p)), 0) // to be closed by execve(2)
	if errno != 0 {
		return nil
	}
	r := &ring{fd: fd}
	if !r.mapIn(&p) || !r.makes() {
		_ = unix.Close(int(fd)) // what is mapped stays so: that happens once
		return nil
	}
	return r
}

// mapIn maps the memory that is shared with the kernel, as long as the process.
func (r *ring) mapIn(p *ringParams) bool {
	share := func(offset int64, length int) []byte {
		m, err := unix.Mmap(int(r.fd), offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return nil
		}
		return m
	}
	sq := share(0, int(p.sq.order)+int(p.submissions)*int(unsafe.Sizeof(uint32(0))))
	cq := share(offsetOfCompletions, int(p.cq.completions)+int(p.completions)*int(unsafe.Sizeof(completion{})))
	entries := share(offsetOfSubmissions, int(p.submissions)*int(unsafe.Sizeof(submission{})))
	if sq == nil || cq == nil || entries == nil {
		return false
	}
	r.submitted = (*uint32)(unsafe.Pointer(&sq[p.sq.tail]))
	r.order = unsafe.Slice((*uint32)(unsafe.Pointer(&sq[p.sq.order])), p.submissions)
	r.submissions = unsafe.Slice((*submission)(unsafe.Pointer(&entries[0])), p.submissions)
	r.reaped = (*uint32)(unsafe.Pointer(&cq[p.cq.head]))
	r.completed = (*uint32)(unsafe.Pointer(&cq[p.cq.tail]))
	r.completions = unsafe.Slice((*completion)(unsafe.Pointer(&cq[p.cq.completions])), p.completions)
	return true
}

// makes says whether transfers are over when the call returns, even those for which there is nothing to do.
func (r *ring) makes() bool {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) }()
	near, far := &descriptor{fd: pair[0]}, &descriptor{fd: pair[1]}
	try := []transfer{{d: near, p: make([]byte, 1)}, {d: near, p: []byte{1}, sends: true}, {d: far, p: make([]byte, 2)}}
	return r.run(try, false) == len(try) && try[0].errno == unix.EAGAIN && try[1].n == 1 && try[2].n == 1
}

// run makes the transfers, of which there are no more than fit, in their order, and returns how many it could make: if not all, the
// ring is not to be used any more. A transfer that waited all the same, it waits for: its memory is lent to the kernel.
func (r *ring) run(row []transfer, waits bool) int {
	end := *r.submitted
	for i := range row {
		t := &row[i]
		at := end % uint32(len(r.submissions))
		s := submission{opcode: opRecv, fd: int32(t.d.fd), length: uint32(len(t.p)), flags: unix.MSG_DONTWAIT, index: uint64(i)}
		if t.sends {
			s.opcode, s.flags = opSend, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL
		}
		s.address = uint64(uintptr(unsafe.Pointer(&t.p[0]))) // held by whoever has asked for the transfer
		r.submissions[at], r.order[at] = s, at
		end++
	}
	atomic.StoreUint32(r.submitted, end)
	taken := 0
	for taken < len(row) {
		n, errno := r.enter(len(row)-taken, 0)
		if errno != 0 && errno != unix.EINTR || errno == 0 && n == 0 {
			break
		}
		taken += n
	}
	made := r.reap(row)
	for waits && made < taken {
		_, _ = r.enter(0, taken-made)
		made += r.reap(row)
	}
	return made
}

// enter has the kernel take so many submissions, and returns how many it took, when so many are over.
func (r *ring) enter(submit, over int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, r.fd, uintptr(submit), uintptr(over), enterGetEvents, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// reap looks at what is over.
func (r *ring) reap(row []transfer) (n int) {
	from, to := *r.reaped, atomic.LoadUint32(r.completed)
	for ; from != to; from++ {
		c := &r.completions[from%uint32(len(r.completions))]
		t := &row[c.index]
		t.n, t.errno = int(c.result), 0
		if c.result < 0 {
			t.n, t.errno = 0, syscall.Errno(-c.result)
		}
		n++
	}
	atomic.StoreUint32(r.reaped, to)
	return n
}
