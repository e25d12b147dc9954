package supervisor

import "testing"

func TestCount_Changes(t *testing.T) {
	c := Count{Min: 2, Max: 8, SpareMin: 1, SpareMax: 3}
	f := func(l load, want int) {
		t.Helper()
		if got := c.change(l); got != want {
			t.Errorf("%+v: got %d, want %d", l, got, want)
		}
	}
	f(load{all: 2, ready: 2, idle: 1}, 0)
	f(load{all: 2, ready: 2}, 1)
	f(load{all: 3, ready: 2, starting: 1}, 0) // it is on its way
	f(load{all: 8, ready: 8}, 0)
	f(load{all: 5, ready: 5, idle: 4}, 0) // not for long
	f(load{all: 5, ready: 5, idle: 4, rested: 1}, -1)
	f(load{all: 5, ready: 5, idle: 3, rested: 3}, 0)
	f(load{all: 2, ready: 2, idle: 2, rested: 2}, 0)
	c.SpareMin, c.SpareMax = 3, 3
	f(load{all: 4, ready: 4, idle: 1}, 2)
	c.SpareMin, c.SpareMax = 0, 0
	f(load{all: 3, ready: 3}, 0)
	f(load{all: 3, ready: 3, idle: 1, rested: 1}, -1)
}

func TestCount_GrowsByDoubling(t *testing.T) {
	c := Count{Max: 8}
	f := func(n int, l load, want int) {
		t.Helper()
		if got := max(0, c.room(n, l)); got != want {
			t.Errorf("%d of %+v: got %d, want %d", n, l, got, want)
		}
	}
	f(5, load{}, 1)
	f(5, load{all: 1, starting: 1}, 0)
	f(5, load{all: 2, ready: 2}, 2)
	f(5, load{all: 3, ready: 2, starting: 1}, 1)
	f(5, load{all: 6, ready: 6}, 2)
	f(1, load{all: 6, ready: 6}, 1)
	f(1, load{all: 8, ready: 8}, 0)
}
