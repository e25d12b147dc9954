package main

import (
	"strings"
	"testing"
	"time"
)

func TestWineRow_CountsWineserverRoundByRound(t *testing.T) {
	f := func(own, server time.Duration) wineRound { return wineRound{cost(own), server} }
	base := []wineRound{f(20e6, 20e6), f(10e6, 10e6), f(10e6, 10e6)}
	rounds := []wineRound{f(10e6, 10e6), f(15e6, 15e6), f(8e6, 4e6)}
	want := "| small-http | spillway | 20.0 (12.0–30.0) | 10.0 (4.00–15.0) | 0.60 | 1000 (1000–1000) |"
	if got := wineRow("small-http", spillwayName, rounds, base); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReadWinePlan(t *testing.T) {
	p, err := readWinePlan([]string{"-spillway", "a/old.exe,b/new.exe", "-reference", "c/ref.exe"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range p.commands {
		names = append(names, c.Name+"="+c.Args[0])
	}
	if got, want := strings.Join(names, " "), "reference=c/ref.exe old=a/old.exe new=b/new.exe"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"small-fastcgi", "idle-http", "none"} {
		if _, err := readWinePlan([]string{"-case", name}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
