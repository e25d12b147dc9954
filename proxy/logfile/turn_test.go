package logfile

import (
	"testing"
	"time"
)

func TestNextTurn(t *testing.T) {
	f := func(zone *time.Location, at string, every time.Duration, want string) {
		t.Helper()
		const form = "2006-01-02 15:04:05"
		from, err := time.ParseInLocation(form, at, zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := nextTurn(from, every).Format(form); got != want {
			t.Errorf("%s, %v in %v: got %s, want %s", at, every, zone, got, want)
		}
	}
	const day = 24 * time.Hour
	east, half := time.FixedZone("east", 2*3600), time.FixedZone("half", -(3*3600+1800))
	f(time.UTC, "2026-11-21 05:00:00", day, "2026-11-22 00:00:00")
	f(time.UTC, "2026-11-21 00:00:00", day, "2026-11-22 00:00:00")
	f(east, "2026-11-21 01:00:00", day, "2026-11-22 00:00:00") // still the day before in UTC
	f(half, "2026-11-21 22:00:00", day, "2026-11-22 00:00:00") // the day after in UTC
	f(half, "2026-12-31 23:59:59", day, "2027-01-01 00:00:00")
	f(half, "2026-11-21 22:10:00", time.Hour, "2026-11-21 23:00:00")
	f(east, "2026-11-21 22:10:00", 6*time.Hour, "2026-11-22 00:00:00")
	f(east, "2026-11-21 22:10:00", 15*time.Minute, "2026-11-21 22:15:00")
	f(east, "2026-11-21 22:10:00", 7*day, "2026-11-23 00:00:00") // a Monday
	if berlin, err := time.LoadLocation("Europe/Berlin"); err == nil {
		f(berlin, "2026-10-25 01:00:00", day, "2026-10-26 00:00:00") // 25 hours
		f(berlin, "2026-03-29 01:00:00", day, "2026-03-30 00:00:00") // 23 hours
	}
}
