//go:build linux && (amd64 || arm64)

package socket

import "unsafe"

// When a loop has many tasks, what a task needs has left the processor's caches by the time that it goes on: more than a hundred
// lines, each of which would be waited for by itself. The loop knows who is next, and has all of that fetched at once while it is
// busy with the one before. BenchmarkUses shows what that gives.

// memory is where something lies.
type memory struct {
	at   unsafe.Pointer
	size uintptr
}

// usesOfTask is how many things of a task are fetched.
const usesOfTask = 8

// Uses notes that the task is using what, until its next job or until it has begun to use more than a few other things: it is
// fetched before the task goes on. A task that rests keeps it from being collected.
func Uses[T any](t *Task, what *T) {
	if t == nil {
		return
	}
	for i := range t.uses {
		if t.uses[i].at == unsafe.Pointer(what) {
			return
		}
	}
	t.uses[t.used%usesOfTask] = memory{unsafe.Pointer(what), unsafe.Sizeof(*what)}
	t.used++
}

// What a task needs of its stack, from the place where it paused: an exchange that waits for its peer is 2.2 KB deep, and the frames of the
// switch come on top.
const (
	stackDepth = 2304
	stackTop   = 256
)

// notePause notes where the stack of t ends.
func (t *Task) notePause() {
	var here byte
	t.stack = uintptr(unsafe.Pointer(&here))
}

// announce has the processor fetch the task itself.
func (t *Task) announce() { prefetch(uintptr(unsafe.Pointer(t)), unsafe.Sizeof(*t)) }

// prepare has the processor fetch what whoever does w is about to use. A job is for the task that has rested last, which then uses
// most of what it has used before: pools work like that, too.
func (l *loop) prepare(w work) {
	t := w.task
	switch last := len(l.idle) - 1; {
	case t != nil:
		prefetch(t.stack-stackTop, stackTop+stackDepth)
	case last >= 0:
		t = l.idle[last]
		prefetch(t.stack-stackDepth, stackDepth)
	default:
		return
	}
	for i := range t.uses {
		prefetch(uintptr(t.uses[i].at), t.uses[i].size)
	}
}

// prefetch has the processor fetch memory. An address that is none, or none any more, does no harm.
func prefetch(at, size uintptr)
