package downstream

import (
	"slices"
	"testing"
)

func TestConns_LoseWhoLeaves(t *testing.T) {
	members := []*conn{{id: 1}, {id: 2}, {id: 3}}
	for _, leave := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		set := conns{}
		for _, c := range members {
			set.add(c)
		}
		left := []uint64{1, 2, 3}
		for _, i := range leave {
			set.remove(members[i])
			left = slices.DeleteFunc(left, func(id uint64) bool { return id == members[i].id })
			var got []uint64
			for c := range set.all() {
				got = append(got, c.id)
			}
			slices.Sort(got)
			if !slices.Equal(got, left) || set.count != len(left) {
				t.Errorf("%v: got %v, counted %d, want %v", leave, got, set.count, left)
			}
		}
	}
}
