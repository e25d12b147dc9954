package errorlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Format is how a line looks.
type Format uint8

// The formats.
const (
	Nginx Format = iota // nginx's words and line shape
	JSON                // an object per line
)

// Options are the parts of a handler.
type Options struct {
	Out    io.Writer    // required; takes one Write for each record, from several goroutines at once
	Level  slog.Leveler // the lowest level that is written; nil: LevelError, as in nginx
	Format Format
	PID    int // shown in nginx's lines; 0: that of this process
}

// Handler is a slog.Handler.
type Handler struct {
	*shared

	fields   []field     // of WithAttrs
	exchange []slog.Attr // of WithAttrs
	prefix   string      // of WithGroup: "group." before each key
}

// shared is what a handler and those made from it have in common.
type shared struct {
	target atomic.Pointer[target]
	pool   sync.Pool // of *record
}

// target is where the lines go and how they look. It is immutable.
type target struct {
	out    io.Writer
	level  slog.Leveler
	append func(line []byte, r *record) []byte
	pid    string
}

// record is what a line is made of.
type record struct {
	time     time.Time
	level    slog.Level
	message  string
	exchange []slog.Attr // nil: the record is not about an exchange
	fields   []field
	pid      string

	line []byte // kept for its memory
}

// field is an attribute with the names of its groups before its key.
type field struct {
	key   string
	value slog.Value // resolved, not a group
}

// pooledLine bounds the memory of a record in the pool: a line of JSON at its limit.
const pooledLine = 16 << 10

// New returns a handler.
func New(opts Options) (*Handler, error) {
	t, err := newTarget(opts)
	if err != nil {
		return nil, err
	}
	s := &shared{}
	s.target.Store(t)
	s.pool.New = func() any { return &record{} }
	return &Handler{shared: s}, nil
}

// Update changes all that the options say, at once for the handler and for all that were made from it. The Out before may
// be closed when Update has returned, if its Write then returns os.ErrClosed, as logfile.Writer does: a record that was on
// its way is written to the new one. On an error nothing has changed.
func (h *Handler) Update(opts Options) error {
	t, err := newTarget(opts)
	if err != nil {
		return err
	}
	h.target.Store(t)
	return nil
}

func newTarget(opts Options) (*target, error) {
	if opts.Out == nil {
		return nil, errors.New("error log: an output is required")
	}
	if opts.Level == nil {
		opts.Level = LevelError
	}
	if opts.PID == 0 {
		opts.PID = os.Getpid()
	}
	t := &target{out: opts.Out, level: opts.Level, append: appendNginx, pid: strconv.Itoa(opts.PID)}
	if opts.Format == JSON {
		t.append = appendJSON
	}
	return t, nil
}

// Lost returns the function for logfile.Options.Lost: it appends a line of the given format, at level alert, that tells
// how many lines are missing and why.
func Lost(format Format) func(dst []byte, lines uint64, err error) []byte {
	return func(dst []byte, lines uint64, err error) []byte {
		buffer := bytes.NewBuffer(dst)
		h, _ := New(Options{Out: buffer, Format: format})
		r := slog.NewRecord(time.Now(), LevelAlert, "log lines lost", 0)
		r.AddAttrs(slog.Uint64("lines", lines))
		if err != nil {
			r.AddAttrs(slog.Any("err", err))
		}
		_ = h.Handle(context.Background(), r)
		return buffer.Bytes()
	}
}

// Enabled says whether records of this level are written.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.target.Load().level.Level()
}

// Handle writes one line. The error is that of Out.
func (h *Handler) Handle(_ context.Context, in slog.Record) error {
	r := h.get()
	defer h.put(r)
	r.time, r.level, r.message = in.Time, in.Level, in.Message
	r.exchange = h.exchange
	r.fields = append(r.fields, h.fields...)
	in.Attrs(func(a slog.Attr) bool {
		r.fields, r.exchange = appendFields(r.fields, r.exchange, h.prefix, a)
		return true
	})
	for t := h.target.Load(); ; {
		r.pid = t.pid
		r.line = t.append(r.line[:0], r)
		_, err := t.out.Write(r.line)
		next := h.target.Load()
		if next == t || !errors.Is(err, os.ErrClosed) {
			return err
		}
		t = next // it was changed meanwhile, and the file before closed
	}
}

// WithAttrs returns a handler that adds attributes to each record. They are resolved now, so an exchange is as it is now.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := &Handler{shared: h.shared, fields: slices.Clip(h.fields), exchange: h.exchange, prefix: h.prefix}
	for _, a := range attrs {
		next.fields, next.exchange = appendFields(next.fields, next.exchange, next.prefix, a)
	}
	return next
}

// WithGroup returns a handler that puts name and a dot before the keys of the attributes that follow.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{shared: h.shared, fields: h.fields, exchange: h.exchange, prefix: h.prefix + name + "."}
}

// appendFields flattens an attribute. An exchange replaces the one before.
func appendFields(fields []field, exchange []slog.Attr, prefix string, a slog.Attr) ([]field, []slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		if a.Key == "" && value.Any() == nil {
			return fields, exchange // slog: an empty attribute is ignored
		}
		return append(fields, field{key: prefix + a.Key, value: value}), exchange
	}
	if a.Key == "exchange" {
		return fields, value.Group()
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, inner := range value.Group() {
		fields, exchange = appendFields(fields, exchange, prefix, inner)
	}
	return fields, exchange
}

func (s *shared) get() *record {
	r, ok := s.pool.Get().(*record)
	if !ok {
		panic("errorlog: the pool holds something else")
	}
	return r
}

func (s *shared) put(r *record) {
	clear(r.fields) // so that the pool holds no exchange
	r.fields, r.exchange, r.line, r.message = r.fields[:0], nil, r.line[:0], ""
	if cap(r.line) <= pooledLine {
		s.pool.Put(r)
	}
}

// find returns the attribute with this key.
func (r *record) find(key string) (slog.Value, bool) {
	for i := range r.fields {
		if r.fields[i].key == key {
			return r.fields[i].value, true
		}
	}
	return slog.Value{}, false
}

// text returns the attribute with this key as text, "" without one.
func (r *record) text(key string) string {
	value, found := r.find(key)
	if !found {
		return ""
	}
	return valueText(value)
}
