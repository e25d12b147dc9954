package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, to be converted to time.Duration.
type Duration time.Duration

var errDuration = errors.New("want seconds, or numbers with ms, s, m, h, d, w, M or y, such as 60s or 1m30s")

// timeUnit is one unit of nginx's durations.
type timeUnit struct {
	name   string
	length time.Duration
}

// timeUnits returns nginx's units in the order in which they must be written; a month has 30 days, a year 365.
func timeUnits() []timeUnit {
	const day = 24 * time.Hour
	return []timeUnit{
		{"y", 365 * day},
		{"M", 30 * day},
		{"w", 7 * day},
		{"d", day},
		{"h", time.Hour},
		{"m", time.Minute},
		{"s", time.Second},
		{"ms", time.Millisecond},
	}
}

// ParseDuration reads nginx's grammar of times (ngx_parse_time): numbers with units, larger units first, with or without
// spaces between them; a last number without a unit means seconds.
func ParseDuration(s string) (Duration, error) {
	units := timeUnits()
	var total time.Duration
	for s = strings.Trim(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		length := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := parseDigits(s[:length])
		if err != nil {
			return 0, errDuration
		}
		s = s[length:]
		length = len(s) - len(strings.TrimLeft(s, "yMwdhms"))
		if strings.HasPrefix(s, "m") && !strings.HasPrefix(s, "ms") {
			length = 1 // a minute; what follows is not part of the unit
		}
		name := s[:length]
		s = s[length:]
		if name == "" && s == "" {
			name = "s"
		}
		i := indexUnit(units, name)
		if i < 0 || n > int64((math.MaxInt64-total)/units[i].length) {
			return 0, errDuration
		}
		total += time.Duration(n) * units[i].length
		units = units[i+1:]
		if s == "" {
			return Duration(total), nil
		}
	}
	return 0, errDuration
}

func indexUnit(units []timeUnit, name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// String returns the duration in the largest unit up to hours that divides it, so that ParseDuration reads it back.
func (d Duration) String() string {
	t := time.Duration(d)
	if t == 0 {
		return "0s"
	}
	for _, u := range timeUnits()[4:] {
		if t%u.length == 0 {
			return strconv.FormatInt(int64(t/u.length), 10) + u.name
		}
	}
	return t.String()
}
