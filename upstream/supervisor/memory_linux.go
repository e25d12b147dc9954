package supervisor

import "spillway/upstream/host"

// pids returns the processes of the tree.
func (t *tree) pids() ([]int, error) {
	all, err := host.Processes()
	var pids []int
	for _, p := range all {
		if p.Group == t.pgid {
			pids = append(pids, p.PID)
		}
	}
	return pids, err
}
