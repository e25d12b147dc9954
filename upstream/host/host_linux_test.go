package host

import "testing"

func TestFacts_OfThisMachine(t *testing.T) {
	r, err := Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	right(t, r)
	if _, err := Exclusions(); err != nil {
		t.Error(err)
	}
	if n, err := FileLimit(); err != nil || n < 64 {
		t.Errorf("got %d files, %v", n, err)
	}
	if got := kindOf(0xFF534D42); got != Network { // CIFS
		t.Errorf("got %v, want %v", got, Network)
	}
}
