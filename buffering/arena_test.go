package buffering_test

import (
	"sync"
	"testing"

	"spillway/buffering"
)

func TestArena_RoundsUpToClasses(t *testing.T) {
	f := func(size int, want int64) {
		t.Helper()
		arena := buffering.NewArena(0)
		b := arena.Get(size)
		if len(b.B) != size || cap(b.B) != size {
			t.Errorf("Get(%d): got len %d cap %d, want the size", size, len(b.B), cap(b.B))
		}
		if got := arena.InUse(); got != want {
			t.Errorf("Get(%d): got %d in use, want %d", size, got, want)
		}
		arena.Put(b)
		if got := arena.InUse(); got != 0 {
			t.Errorf("Get(%d): got %d in use after Put, want 0", size, got)
		}
	}
	f(0, 1024)
	f(1, 1024)
	f(1024, 1024)
	f(1025, 2048)
	f(8192, 8192)
	f(100_000, 128<<10)
	f(1<<20, 1<<20)
	f(1<<20+1, 1<<20+1)
	f(5<<20, 5<<20)
}

func TestArena_BudgetHoldsForTryGetOnly(t *testing.T) {
	arena := buffering.NewArena(10 << 10)
	first := arena.TryGet(8 << 10)
	if first == nil {
		t.Fatal("got nil within the budget")
	}
	if b := arena.TryGet(4 << 10); b != nil {
		t.Error("got a buffer beyond the budget, want nil")
	}
	second := arena.Get(4 << 10)
	if got, want := arena.InUse(), int64(12<<10); got != want {
		t.Errorf("got %d in use, want %d", got, want)
	}
	arena.Put(first)
	third := arena.TryGet(4 << 10)
	if third == nil {
		t.Error("got nil after a Put made room")
	}
	arena.Put(second)
	arena.Put(third)
	if got := arena.InUse(); got != 0 {
		t.Errorf("got %d in use at the end, want 0", got)
	}
}

func TestArena_PanicsOnDoublePut(t *testing.T) {
	arena := buffering.NewArena(0)
	b := arena.Get(1)
	arena.Put(b)
	defer func() {
		if got, want := recover(), "buffering: buffer put twice"; got != want {
			t.Errorf("got panic %v, want %v", got, want)
		}
	}()
	arena.Put(b)
}

func TestArena_RecycledBufferIsEmpty(t *testing.T) {
	arena := buffering.NewArena(0)
	b := arena.Get(4096)
	b.W = copy(b.B, "secret")
	b.R = 2
	arena.Put(b)
	again := arena.Get(3000)
	if again.Len() != 0 || len(again.Room()) != 3000 || cap(again.Room()) != 3000 {
		t.Errorf("got %d bytes and room for %d (cap %d), want 0 and 3000", again.Len(), len(again.Room()), cap(again.Room()))
	}
	arena.Put(again)
}

func TestArena_BudgetCanChange(t *testing.T) {
	arena := buffering.NewArena(8 << 10)
	first := arena.TryGet(8 << 10)
	if first == nil || arena.TryGet(1<<10) != nil {
		t.Fatal("got a budget other than 8 KiB")
	}
	arena.SetBudget(9 << 10)
	second := arena.TryGet(1 << 10)
	if second == nil {
		t.Fatal("got nil within the larger budget")
	}
	arena.SetBudget(4 << 10)
	arena.Put(second)
	if arena.TryGet(1<<10) != nil {
		t.Error("got a buffer beyond the smaller budget, want nil")
	}
	arena.Put(first)
	third := arena.TryGet(4 << 10)
	if third == nil {
		t.Fatal("got nil within the smaller budget")
	}
	arena.Put(third)
	if got := arena.Budget(); got != 4<<10 {
		t.Errorf("got budget %d, want 4096", got)
	}
}

func TestArena_ConcurrentUseStaysWithinBudget(t *testing.T) {
	const budget = 64 << 10
	arena := buffering.NewArena(budget)
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() { // ends after its rounds
			for range 500 {
				b := arena.TryGet(16 << 10)
				if got := arena.InUse(); got > budget {
					t.Errorf("got %d in use, want at most %d", got, budget)
				}
				if b != nil {
					arena.Put(b)
				}
			}
		})
	}
	users.Wait()
	if got := arena.InUse(); got != 0 {
		t.Errorf("got %d in use at the end, want 0", got)
	}
}

func TestArena_GetAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes free lists forget")
	}
	arena := buffering.NewArena(1 << 20)
	arena.Put(arena.Get(8 << 10))
	allocs := testing.AllocsPerRun(100, func() {
		arena.Put(arena.Get(8 << 10))
		arena.Put(arena.TryGet(8 << 10))
	})
	if allocs >= 1 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}
