package supervisor

import (
	"fmt"
	"slices"
	"strings"

	"spillway/upstream/host"
)

// checkOwner returns an error when somebody else answers at the port: a program that has taken it between our look and the
// process's start. Where that cannot be found out all is well.
func (r *run) checkOwner(port int) error {
	owner, err := host.Owner(port)
	if err != nil || owner.PID == 0 || r.has(owner) {
		return nil //nolint:nilerr // see above
	}
	return fmt.Errorf("port %d is answered by %s, which this process has not started; end it or choose another port", port, owner)
}

// has says whether the process is of the run's tree, or was started by it and has left it.
func (r *run) has(process host.Process) bool {
	pids := r.pids()
	if len(pids) == 0 || slices.Contains(pids, process.PID) {
		return true
	}
	all, err := host.Processes()
	if err != nil {
		return true
	}
	parents := make(map[int]int, len(all))
	for _, p := range all {
		parents[p.PID] = p.Parent
	}
	pid := process.PID
	for range all { // on Windows the id of a parent may be somebody else's by now: there could be a circle
		pid = parents[pid]
		if pid == 0 || slices.Contains(pids, pid) {
			break
		}
	}
	return pid != 0
}

// listensOn says what the run does instead of listening where it should.
func (r *run) listensOn() string {
	ports, err := host.Listeners(r.pids()...)
	if err != nil {
		return fmt.Sprintf("pid %d does not listen there; does its command line name {port}?", r.pid())
	}
	if len(ports) == 0 {
		return fmt.Sprintf("pid %d listens on no port; does its command line name {port}?", r.pid())
	}
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ", "), "[]")
	return fmt.Sprintf("pid %d listens on port %s instead; its command line or its environment has to name {port}", r.pid(), text)
}

// pids returns the processes of the run's tree; none when they are not known.
func (r *run) pids() (pids []int) {
	r.look(func(t *tree) { pids, _ = t.pids() })
	return pids
}
