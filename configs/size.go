package configs

import (
	"errors"
	"math"
	"strconv"
)

// Size is a number of bytes.
type Size int64

// Units of nginx's sizes; k is 1024 bytes.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var errSize = errors.New("want bytes, or a number with k, m or g, such as 8k")

// ParseSize reads nginx's grammar of sizes (ngx_parse_offset): decimal digits, then nothing for bytes or one of k, m, g in
// either case.
func ParseSize(s string) (Size, error) {
	digits, unit := s, Size(1)
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			digits, unit = s[:len(s)-1], KiB
		case 'm', 'M':
			digits, unit = s[:len(s)-1], MiB
		case 'g', 'G':
			digits, unit = s[:len(s)-1], GiB
		}
	}
	n, err := parseDigits(digits)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, errSize
	}
	return Size(n) * unit, nil
}

// String returns the size in the largest unit that divides it, so that ParseSize reads it back.
func (s Size) String() string {
	switch {
	case s == 0:
		return "0"
	case s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "g"
	case s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "m"
	case s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "k"
	}
	return strconv.FormatInt(int64(s), 10)
}

// parseDigits reads decimal digits alone: no sign, no underscore, and 010 is ten, as nginx reads it.
func parseDigits(s string) (int64, error) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseInt(s, 10, 64)
}
