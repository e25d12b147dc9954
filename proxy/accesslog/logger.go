package accesslog

import (
	"errors"
	"fmt"
	"io"

	"spillway/proxy"
)

// Options are the parts of a Logger.
type Options struct {
	// Format is Combined, JSON or a text with variables, as in nginx's log_format; "": Combined.
	Format string
	Escape Escape    // of the values in a text with variables
	Out    io.Writer // required; takes one Write for each line, from several goroutines at once
}

// The formats that have a name.
const (
	Combined = "combined" // nginx's default
	JSON     = "json"     // an object with numbers and the keys of the error log
)

const (
	combined = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ` +
		`"$http_referer" "$http_user_agent"`

	object = `{"time":"$time_iso8601","exchange":$connection,"client":"$remote_addr","user":"$remote_user",` +
		`"server":"$server_name","method":"$request_method","host":"$host","path":"$request_uri",` +
		`"protocol":"$server_protocol","status":$status,"bytes":$body_bytes_sent,"request_bytes":$request_length,` +
		`"took":$request_time,"referrer":"$http_referer","user_agent":"$http_user_agent","upstream":"$upstream",` +
		`"peer":"$upstream_addr","upstream_status":"$upstream_status","upstream_took":"$upstream_response_time",` +
		`"queued":"$upstream_queue_time","spilled":$upstream_spilled,"cause":"$upstream_cause","why":"$why"}`

	// maxLine is the limit of a line. maxValue is that of one value in it: the largest field that nginx accepts by
	// default (large_client_header_buffers 4 8k).
	maxLine  = 16 << 10
	maxValue = 8 << 10

	// shortValue is what each value has room for, so that numbers and times are never cut; reserve is 64 times that.
	shortValue = 32
	reserve    = 64 * shortValue
)

// Logger writes an access log.
type Logger struct {
	template *proxy.Template
	missing  string // stands for a value that an exchange does not have
	escape   func(line []byte, from int) []byte
	out      io.Writer
}

// New returns a Logger. The error names an unknown variable.
func New(opts Options) (*Logger, error) {
	if opts.Out == nil {
		return nil, errors.New("access log: an output is required")
	}
	format := opts.Format
	switch format {
	case Combined, "":
		format, opts.Escape = combined, EscapeDefault
	case JSON:
		format, opts.Escape = object, EscapeJSON
	}
	template, err := proxy.CompileTemplate(format)
	if err != nil {
		return nil, fmt.Errorf("access log: format: %w", err)
	}
	l := &Logger{template: template, out: opts.Out}
	if opts.Escape == EscapeDefault {
		l.missing = "-"
	}
	e := &escaper{mode: opts.Escape, room: maxLine - reserve - template.Fixed()}
	e.findSpecial()
	l.escape = e.escape
	return l, nil
}

// Observe writes the line of a finished exchange; it is an observer of proxy.Options. A line that Out does not take is lost:
// nobody could be told but Out itself.
func (l *Logger) Observe(ex *proxy.Exchange) {
	line := l.template.AppendEscaped(ex.Text[:0], ex, l.missing, l.escape)
	line = append(line, lineEnd...)
	_, _ = l.out.Write(line)
	if ex.Text = line[:0]; cap(line) > 2*maxLine {
		ex.Text = nil
	}
}
