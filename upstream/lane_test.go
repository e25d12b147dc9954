package upstream_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream"
)

// of makes the asker a request of a client in a lane, whose slots of Bulk are counted.
func (a *asker) of(client int, lane upstream.Lane) *asker {
	a.wait.Client, a.wait.Lane = netip.AddrFrom4([4]byte{10, 0, 0, byte(client)}), lane
	if lane != upstream.Bulk {
		return a
	}
	pick := a.wait.Pick
	a.wait.Pick = func(from []*upstream.Peer) *upstream.Peer {
		if !a.group.TakeBulk(time.Now()) {
			return nil
		}
		p := pick(from)
		if p == nil {
			a.group.FreeBulk()
		}
		return p
	}
	return a
}

// free gives back the slot that a has.
func (a *asker) free(p *upstream.Peer) {
	if a.wait.Lane == upstream.Bulk {
		a.group.FreeBulk()
	}
	p.Free()
}

// served lets the requests have the one slot of a group, one after the other, and returns their numbers in that order.
func served(t *testing.T, p *upstream.Peer, waiting []*asker) []int {
	t.Helper()
	done := make(chan int, len(waiting))
	for i, a := range waiting {
		go func() {
			if _, err := a.wait.Await(); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			done <- i
		}()
	}
	var order []int
	p.Free()
	for range waiting {
		i := <-done
		order = append(order, i)
		waiting[i].free(p)
	}
	return order
}

// oneSlot returns the askers of a group with one slot, which is taken.
func oneSlot(t *testing.T, opts upstream.GroupOptions) picker {
	t.Helper()
	q := newPicker(groupOf(t, 1, opts))
	if _, err := q.asker().ask(); err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue_LanesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := oneSlot(t, queued())
		var waiting []*asker
		for i, lane := range []upstream.Lane{upstream.Bulk, upstream.Normal, upstream.Express, upstream.Bulk, upstream.Express, upstream.Normal} {
			waiting = append(waiting, q.asker().of(i, lane).join())
		}
		if got := q.group.Queue().Lanes; got != [...]int{2, 2, 2} {
			t.Errorf("got %v waiting", got)
		}
		if got, want := served(t, q.group.Peers()[0], waiting), []int{2, 4, 1, 5, 0, 3}; !slices.Equal(got, want) {
			t.Errorf("got %v, want express, normal, bulk: %v", got, want)
		}
		if got := q.group.Queue(); got.Bulk != 0 || got.Waiting != 0 {
			t.Errorf("got %+v, want nothing left", got)
		}
	})
}

// TestQueue_NoLaneStarves: after eight requests of more urgent lanes it is the turn of the next one.
func TestQueue_NoLaneStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := oneSlot(t, queued())
		waiting := []*asker{
			q.asker().of(1, upstream.Bulk).join(), q.asker().of(2, upstream.Normal).join(), q.asker().of(3, upstream.Normal).join(),
		}
		for i := range 30 {
			waiting = append(waiting, q.asker().of(10+i, upstream.Express).join())
		}
		order := served(t, q.group.Peers()[0], waiting)
		if got := []int{slices.Index(order, 0), slices.Index(order, 1), slices.Index(order, 2)}; !slices.Equal(got, []int{8, 9, 18}) {
			t.Errorf("got bulk and two of normal at the places %v, want 8, 9 and 18, in %v", got, order)
		}
	})
}

// TestQueue_ClientsTakeTurns: one client that has many requests waiting delays the others by one request each.
func TestQueue_ClientsTakeTurns(t *testing.T) {
	f := func(clients, want []int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			q := oneSlot(t, queued())
			var waiting []*asker
			for _, client := range clients {
				waiting = append(waiting, q.asker().of(client, upstream.Normal).join())
				time.Sleep(time.Millisecond)
			}
			if got := served(t, q.group.Peers()[0], waiting); !slices.Equal(got, want) {
				t.Errorf("clients %v: got %v, want %v", clients, got, want)
			}
		})
	}
	f([]int{1, 2, 3, 4}, []int{0, 1, 2, 3})
	f([]int{1, 1, 1, 1, 2, 3}, []int{0, 4, 5, 1, 2, 3})
	f([]int{1, 1, 1, 2, 2, 2, 3}, []int{0, 3, 6, 1, 4, 2, 5})
}

func TestQueue_RetryIsTheOldestOfItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := oneSlot(t, queued())
		waiting := []*asker{q.asker().of(1, upstream.Normal).join(), q.asker().of(2, upstream.Normal).join(), q.asker().of(2, upstream.Normal).join()}
		late := q.asker().of(2, upstream.Normal)
		late.wait.Since = time.Now().Add(-time.Second)
		waiting = append(waiting, late.join())
		if got, want := served(t, q.group.Peers()[0], waiting), []int{3, 0, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestQueue_OneClientCannotFillIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Queue.PerClient = 2
		q := oneSlot(t, opts)
		waiting := []*asker{q.asker().of(1, upstream.Normal).join(), q.asker().of(1, upstream.Bulk).join()}
		q.asker().of(1, upstream.Express).join().want(t, -1, upstream.ErrClientFull)
		other := q.asker().of(2, upstream.Normal).join()
		waiting[0].wait.Leave()
		waiting[0].want(t, -1, upstream.ErrLeft)
		waiting[0] = q.asker().of(1, upstream.Normal).join() // its place is free again
		if got := q.group.Queue(); got.Waiting != 3 || got.ClientFull != 1 || got.Full != 0 {
			t.Errorf("got %+v, want 3 waiting, 1 refused", got)
		}
		if got, want := served(t, q.group.Peers()[0], append(waiting, other)), []int{2, 0, 1}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestGroup_BulkLeavesAReserve(t *testing.T) {
	f := func(want, reserve, limit int, states ...upstream.State) {
		t.Helper()
		opts := queued()
		opts.Concurrency, opts.Queue.Reserve = limit, reserve
		g := groupOf(t, len(states), opts)
		for i, state := range states {
			g.Peers()[i].SetState(state)
		}
		got := 0
		for got < 1000 && g.TakeBulk(time.Now()) {
			got++
		}
		if got != want {
			t.Errorf("%d%% of %d slots at %v: got %d, want %d", reserve, limit, states, got, want)
		}
	}
	const on, off = upstream.Serving, upstream.Coming
	f(1, 0, 1, on) // a single slot cannot be shared
	f(1, 0, 1, on, on)
	f(6, 0, 1, on, on, on, on, on, on, on, on)
	f(3, 0, 1, on, on, on, on, off, off, off, off)
	f(4, 50, 1, on, on, on, on, on, on, on, on)
	f(3, 0, 4, on)
	f(1, 100, 1, on, on, on) // or none would ever be served
	f(8, -1, 2, on, on, on, on)
	f(0, 0, 1, off, off)
	f(1000, 0, 0, on, on) // no limit
}

// TestQueue_BulkIsCountedExactly: 64 requests at a time of all lanes and of few clients, some of which leave. Bulk ones never
// have more than their six of eight slots, and everybody is served.
func TestQueue_BulkIsCountedExactly(t *testing.T) {
	opts := queued()
	opts.Concurrency = 2
	g := groupOf(t, 4, opts)
	q := newPicker(g)
	var bulk, most atomic.Int64
	var users sync.WaitGroup
	for i := range 64 {
		users.Go(func() {
			for n := range 100 {
				a := q.asker().of(i%5, upstream.Lane((i+n)%3))
				if a.join(); (n+i)%7 == 0 {
					a.wait.Leave()
				}
				p, err := a.wait.Await()
				if err != nil {
					if !errors.Is(err, upstream.ErrLeft) {
						t.Error(err)
					}
					continue
				}
				if a.wait.Lane == upstream.Bulk {
					for now := bulk.Add(1); now > most.Load(); most.Store(now) {
					}
					bulk.Add(-1)
				}
				a.free(p)
			}
		})
	}
	users.Wait()
	if most.Load() > 6 {
		t.Errorf("got %d bulk requests at once, want 6 at most", most.Load())
	}
	if got := g.Queue(); got.Waiting != 0 || got.Bulk != 0 || got.Lanes != [3]int{} {
		t.Errorf("got %+v, want nothing left", got)
	}
}

// TestQueue_SlotForBulkIsSeen: a slot that was left free for the reserve goes to a bulk request as soon as another one ends.
func TestQueue_SlotForBulkIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 4, queued())
		q, began := newPicker(g), time.Now()
		var users sync.WaitGroup
		for i := range 20 {
			users.Go(func() {
				for range 50 {
					a := q.asker().of(i, upstream.Bulk)
					p, err := a.join().wait.Await()
					if err != nil {
						t.Error(err)
						return
					}
					if i%3 == 0 { // its process ends under it
						p.SetState(upstream.Coming)
						a.free(p)
						p.SetState(upstream.Serving)
						continue
					}
					a.free(p)
				}
			})
		}
		users.Wait()
		if !time.Now().Equal(began) {
			t.Errorf("somebody waited %v for a slot that was free", time.Since(began))
		}
	})
}

func ExampleLane() {
	fmt.Println(upstream.Express, upstream.Normal, upstream.Bulk)
	// Output: express normal bulk
}
