package errorlog

import (
	"fmt"
	"log/slog"
	"strings"
)

// nginx's levels as those of slog. nginx has no level between debug and info.
const (
	LevelDebug  = slog.LevelDebug
	LevelInfo   = slog.LevelInfo
	LevelNotice = slog.Level(2)
	LevelWarn   = slog.LevelWarn
	LevelError  = slog.LevelError
	LevelCrit   = slog.Level(12)
	LevelAlert  = slog.Level(16)
	LevelEmerg  = slog.Level(20)
)

// ParseLevel returns the level that nginx's error_log directive calls name.
func ParseLevel(name string) (slog.Level, error) {
	names := []string{}
	for _, level := range []slog.Level{
		LevelDebug, LevelInfo, LevelNotice, LevelWarn, LevelError, LevelCrit, LevelAlert, LevelEmerg,
	} {
		if levelName(level) == name {
			return level, nil
		}
		names = append(names, levelName(level))
	}
	return 0, fmt.Errorf("level %q: want one of %s", name, strings.Join(names, ", "))
}

// levelName is nginx's name of a level, or of the next one below it.
func levelName(level slog.Level) string {
	switch {
	case level >= LevelEmerg:
		return "emerg"
	case level >= LevelAlert:
		return "alert"
	case level >= LevelCrit:
		return "crit"
	case level >= LevelError:
		return "error"
	case level >= LevelWarn:
		return "warn"
	case level >= LevelNotice:
		return "notice"
	case level >= LevelInfo:
		return "info"
	default:
		return "debug"
	}
}
