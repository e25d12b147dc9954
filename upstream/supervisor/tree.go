package supervisor

import (
	"context"
	"time"
)

// A tree is a process with everything that it has started itself; it is ended as a whole. It is a process group on Unix
// and a Job object on Windows, made by newTree before the launch, with the same methods:
//
//	adopt      after the launch: from now on the tree dies with the supervisor
//	interrupt  asks all of the tree to end, by Options.StopSignal
//	kill       ends all of the tree
//	empty      says, once the process itself has been waited for, whether the rest is gone too
//	close      gives the tree up

// How often a tree that is ending is looked at, first and at last: neither system tells us when the last of it is gone, and
// a look at a process group may cost a look at all processes of the machine.
const (
	treePollMin = time.Millisecond
	treePollMax = 100 * time.Millisecond
)

// awaitEmpty waits until the tree is empty or ctx ends, and says whether it is empty.
func (t *tree) awaitEmpty(ctx context.Context) bool {
	for wait := treePollMin; !t.empty(); wait = min(2*wait, treePollMax) {
		select {
		case <-ctx.Done():
			return t.empty()
		case <-time.After(wait):
		}
	}
	return true
}
