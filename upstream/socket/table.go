//go:build linux && (amd64 || arm64)

package socket

import "sync/atomic"

// descriptors are all that loops wait for, by their numbers, which the system gives out from 0 on.
var descriptors [maxDescriptors / pageSize]atomic.Pointer[page]

type page [pageSize]atomic.Pointer[descriptor]

const (
	pageSize       = 1 << 10
	maxDescriptors = 1 << 20 // the largest number of open files that Linux allows by default
)

// register notes d.
func register(d *descriptor) {
	at := &descriptors[d.fd/pageSize]
	p := at.Load()
	for p == nil {
		at.CompareAndSwap(nil, &page{})
		p = at.Load()
	}
	p[d.fd%pageSize].Store(d)
}

// unregister forgets d, before its number is given out again.
func unregister(d *descriptor) {
	descriptors[d.fd/pageSize].Load()[d.fd%pageSize].Store(nil)
}

// registered returns the descriptor with a number.
func registered(fd int32) *descriptor {
	if p := descriptors[fd/pageSize].Load(); p != nil {
		return p[fd%pageSize].Load()
	}
	return nil
}
