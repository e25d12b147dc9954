package errorlog

import (
	"log/slog"
	"math"
	"strconv"
	"unicode/utf8"
)

const (
	// maxJSONLine is the limit of one object, maxJSONValue that of one text in it.
	maxJSONLine  = 16 << 10
	maxJSONValue = 4 << 10

	jsonTime = "2006-01-02T15:04:05.000Z07:00"
	jsonEnd  = `,"cut":true}` + "\n"
)

// appendJSON appends the record as one JSON object: time, level, msg, those of the exchange, then the attributes in their
// order. Durations are seconds. When the line gets too long, the attributes that are left are dropped and "cut" is true.
func appendJSON(line []byte, r *record) []byte {
	line = append(line, '{')
	if !r.time.IsZero() {
		line = r.time.AppendFormat(append(line, `"time":"`...), jsonTime)
		line = append(line, `",`...)
	}
	line = append(append(line, `"level":"`...), levelName(r.level)...)
	line = appendString(append(line, `","msg":`...), r.message)

	for _, a := range r.exchange {
		key := a.Key
		if key == "conn" {
			key = "exchange"
		}
		before := len(line)
		if line = appendJSONField(line, key, a.Value.Resolve()); len(line) > maxJSONLine-len(jsonEnd) {
			return append(line[:before], jsonEnd...)
		}
	}
	for i := range r.fields {
		before := len(line)
		if line = appendJSONField(line, r.fields[i].key, r.fields[i].value); len(line) > maxJSONLine-len(jsonEnd) {
			return append(line[:before], jsonEnd...)
		}
	}
	return append(line, "}\n"...)
}

func appendJSONField(line []byte, key string, value slog.Value) []byte {
	line = appendString(append(line, ','), key)
	line = append(line, ':')
	if key == "output" {
		value = slog.StringValue(newest(value.String(), maxJSONValue))
	}
	switch value.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(line, value.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(line, value.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(line, value.Bool())
	case slog.KindDuration:
		return strconv.AppendFloat(line, value.Duration().Seconds(), 'f', -1, 64)
	case slog.KindFloat64:
		if f := value.Float64(); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.AppendFloat(line, f, 'g', -1, 64)
		}
	case slog.KindTime:
		return appendString(line, value.Time().Format(jsonTime))
	default:
	}
	return appendString(line, value.String())
}

// appendString appends a JSON string (RFC 8259, 7) of at most maxJSONValue bytes. What escapeControl escapes is escaped here
// too.
func appendString(line []byte, text string) []byte {
	line = append(line, '"')
	limit := len(line) + maxJSONValue
	for text != "" && len(line) < limit {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '"' || r == '\\':
			line = append(line, '\\', byte(r))
		case r == '\n':
			line = append(line, `\n`...)
		case r == '\t':
			line = append(line, `\t`...)
		case r < ' ' || 0x7f <= r && r <= 0x9f:
			line = append(line, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		case r == utf8.RuneError && size == 1:
			line = append(line, `\ufffd`...)
		default:
			line = append(line, text[:size]...)
		}
		text = text[size:]
	}
	return append(line, '"')
}
