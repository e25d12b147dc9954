package supervisor

import "spillway/upstream/host"

// memory returns the resident memory of the whole tree in bytes; 0 when nothing of it lives. Pages that processes share
// count for each of them. On Linux it costs a look at all processes of the machine: ask every few seconds, not more often.
func (t *tree) memory() (int64, error) {
	pids, err := t.pids()
	if err != nil {
		return 0, err
	}
	return host.Memory(pids...)
}
