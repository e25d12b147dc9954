package relay

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"spillway/buffering"
	"spillway/proxy"
	"spillway/upstream"
)

// ownHeader are the fields that tell the peer about the client. They replace what the client sent under these names: only
// what this hop saw can be trusted. The configuration's set_header can replace them in turn.
func ownHeader() ([]Setting, error) {
	var own []Setting
	for _, field := range [][2]string{
		{"X-Real-IP", "$remote_addr"},
		{"X-Forwarded-For", "$remote_addr"},
		{"X-Forwarded-Proto", "$scheme"},
		{"X-Forwarded-Host", "$http_host"},
	} {
		value, err := proxy.CompileTemplate(field[1])
		if err != nil {
			return nil, err
		}
		own = append(own, Setting{Name: field[0], Value: value})
	}
	return own, nil
}

// override returns base without the names that settings has, followed by settings.
func override(base, settings []Setting) []Setting {
	merged := make([]Setting, 0, len(base)+len(settings))
	for _, s := range base {
		if !hasName(settings, s.Name) {
			merged = append(merged, s)
		}
	}
	merged = append(merged, settings...)
	for i := range merged {
		merged[i].name, merged[i].value = []byte(merged[i].Name), *merged[i].Value
	}
	return merged
}

func hasName(settings []Setting, name string) bool {
	for _, s := range settings {
		if strings.EqualFold(s.Name, name) {
			return true
		}
	}
	return false
}

// holdBody reads the client's request body into memory and the spill file, so that a slow sender occupies no process; with
// request_buffering off it only prepares to pass it on.
func (r *run) holdBody() error {
	ex, opts := r.ex, &r.h.opts
	if ex.Body == nil || ex.BodyLength == 0 {
		return nil
	}
	if opts.StreamBody && (ex.BodyLength > 0 || !opts.KnowLength) {
		r.stream = bodyStream{run: r, from: ex.Body}
		return nil
	}
	if ex.BodyLength < 0 || ex.BodyLength > int64(opts.BodyMemory) {
		ex.Task.Leave() // it may go to disk
	}
	r.body = buffering.NewBody(opts.Arena, opts.Spill, opts.BodyMemory, r.onBodySpill)
	r.stream = bodyStream{run: r, from: ex.Body}
	err := r.body.Fill(&r.stream, ex.BodyLength, opts.BodyLimit)
	if err != nil {
		err = r.bodyFailed(err, r.stream.err)
	}
	r.stream = bodyStream{} // all of it is in r.body
	return err
}

// bodyFailed tells why a request body could not be read whole: because it is too large, because of the client (its error
// is clientErr), or because it could not be held.
func (r *run) bodyFailed(err, clientErr error) error {
	known, isKnown := errors.AsType[*proxy.StatusError](err)
	switch {
	case errors.Is(err, buffering.ErrTooLarge):
		r.logBodyTooLarge()
		return proxy.TooLarge()
	case clientErr == nil && !errors.Is(err, io.ErrUnexpectedEOF):
		r.incident()
		r.logBodyNotHeld(err)
		return &proxy.StatusError{Code: http.StatusInternalServerError, Cause: proxy.CauseInternal, Err: err}
	case !isKnown:
		known = &proxy.StatusError{Code: proxy.StatusClientGone, Cause: proxy.CauseClientGone, Err: err}
		r.logBodyCut(err)
	case known.Cause == proxy.CauseClientGone:
		r.logBodyCut(err)
	default: // the front said what: a timeout, a bad chunk
		r.logBodyRefused(err)
	}
	return known
}

// bodyStream passes a request body on while it arrives, and counts it.
type bodyStream struct {
	run     *run
	from    io.Reader
	started bool  // something was read: the request cannot be sent again
	err     error // the client's error, which is not the peer's
}

// Read reads from the client. A failure there cancels the attempt.
func (s *bodyStream) Read(p []byte) (int, error) {
	s.started = true
	r := s.run
	r.pauseBusy()
	n, err := s.from.Read(p)
	r.resumeBusy()
	r.ex.RequestBytes += int64(n)
	if limit := r.h.opts.BodyLimit; limit > 0 && r.ex.RequestBytes > limit {
		s.err = buffering.ErrTooLarge
		return 0, s.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// buildRequest fills r.req from the exchange; the body is positioned by each attempt.
func (r *run) buildRequest() {
	ex, opts := r.ex, &r.h.opts
	req := &r.req // empty: filling it costs less than copying one
	req.Method, req.Target, req.Asked, req.Path, req.Query = ex.Method, ex.PeerTarget(), ex.Target, ex.Path, ex.Query
	req.Header, req.Fields = ex.Request, ex.Fields()
	req.Proto, req.Scheme, req.ServerName = ex.Proto, ex.Scheme, ex.ServerName()
	req.RemoteAddr, req.RemotePort, req.ServerAddr, req.ServerPort = ex.RemoteAddr, ex.RemotePort, ex.ServerAddr, ex.ServerPort
	req.BodyLength = ex.BodyLength
	if r.body != nil {
		req.BodyLength = r.body.Len()
	}
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	r.expand(opts.SetHeader)
	r.expand(opts.Params)
	req.Set, req.Params = r.fields[:len(opts.SetHeader)], r.fields[len(opts.SetHeader):]
	req.Upgrade, req.Trailers = r.upgrade(), ex.Trailers
}

// upgrade returns the protocols that the peer is asked for.
func (r *run) upgrade() []byte {
	asked := r.ex.Upgrade
	if len(asked) == 0 {
		return nil
	}
	for i := range r.req.Set {
		if strings.EqualFold(r.h.opts.SetHeader[i].Name, "Upgrade") {
			return r.req.Set[i].Value
		}
	}
	if !r.h.opts.Upgrade {
		return nil
	}
	return asked
}

// expand appends the settings with their variables replaced. When scratch grows, the values before stay where they are.
func (r *run) expand(settings []Setting) {
	for i := range settings {
		s, from := &settings[i], len(r.scratch)
		r.scratch = s.value.Append(r.scratch, r.ex)
		r.fields = append(r.fields, upstream.Field{Name: s.name, Value: r.scratch[from:]})
	}
}

// rewind positions the request body at its start for the next attempt.
func (r *run) rewind() {
	r.req.Body, r.req.Bytes = nil, nil
	switch {
	case r.stream.from != nil:
		r.req.Body = &r.stream
	case r.body == nil:
	default:
		if held, ok := r.body.Bytes(); ok {
			r.req.Bytes = held
			return
		}
		r.req.Body = r.body.NewReader()
	}
}
