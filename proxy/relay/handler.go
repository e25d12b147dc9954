package relay

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// Options are the settings of a location that passes to an upstream. The names in brackets are the configuration's.
type Options struct {
	Group  *upstream.Group  // required
	Picker balancer.Picker  // required; one per group, shared by its locations
	Arena  *buffering.Arena // required; one per process
	// The group's wire language with the settings of the location, such as the root of its scripts; nil: the group's own.
	Protocol upstream.Protocol
	Spill    *buffering.SpillDir // nil: nothing goes to disk

	Limits   buffering.Limits  // [buffer_size, buffers, busy_buffers_size, max_temp_file_size, temp_file_write_size]
	Unbuffer bool              // [buffering off]: the peer is read at the client's speed, with one buffer
	Timeouts upstream.Timeouts // [connect_timeout, send_timeout, read_timeout]
	Retry    RetryPolicy       // [next_upstream ...]
	// [deadline]: from when the request is there to the head of the response, waits and attempts together; 0 is no limit.
	Deadline time.Duration
	// [busy_timeout]: an attempt that takes longer, to the last byte of the peer's response, is ended; 0: none. Waiting for the
	// client, to send its body or to take the response, does not count. OnStuck, if it is not nil, is told the peer and how
	// long ago the attempt began; the peer is not given to another process before it returns, and it must not block.
	BusyTimeout time.Duration
	OnStuck     func(p *upstream.Peer, took time.Duration)

	Lane      upstream.Lane // [lane]: how urgent the requests are that wait
	LearnLane bool          // [lane auto]: in place of Lane; wants a Pace
	Pace      *Pace         // one per group, shared by its locations; nil: no location of the group learns its lane

	// [upgrade, upgrade_timeout]: a client that asks for another protocol (RFC 9110, section 7.8) gets it, if the peer agrees. The
	// tunnel ends when nothing has moved in it for so long; 0 is the read timeout. An Upgrade in SetHeader says what the peer is
	// asked for in place of the client's, also without Upgrade, as in nginx; the client has to ask in any case.
	Upgrade        bool
	UpgradeTimeout time.Duration
	EarlyHints     bool // [early_hints]: the client gets a peer's 103

	Key    *proxy.Template // [method: hash KEY]: what the picker goes by; nil: no key
	Sticky *Sticky         // [sticky]: the picker goes by a cookie; nil: it does not

	// Unresolved says which host names of the group stand for nobody, and why, for the Scene of an incident; nil: it has no names.
	Unresolved func() []string

	Poison *PoisonGuard // [poison_guard]: one per group, shared by its locations; nil: none

	SetHeader []Setting // [set_header], besides the fields that tell the peer about the client
	Params    []Setting // [params]: CGI variables
	Fields    FieldRules
	Intercept bool // [intercept_errors]: a peer's error for which the location has an error page is one of ours

	BodyMemory int   // [client_body_buffer_size] in bytes: more of a request body goes to disk
	BodyLimit  int64 // [client_max_body_size] in bytes; 0 is no limit
	StreamBody bool  // [request_buffering off]: the request body is sent to the peer as it arrives
	Finish     bool  // [ignore_client_abort]: the peer is read to its end although the client is gone
	KnowLength bool  // the protocol cannot send a body of unknown length (CGI): such a body is held first even so
}

// Setting is a header field or CGI variable whose value may have variables.
type Setting struct {
	Name  string
	Value *proxy.Template

	// Made by New, so that all that a request needs of its settings lies side by side.
	name  []byte
	value proxy.Template
}

// Handler sends exchanges to one group with the settings of one location.
type Handler struct {
	opts    Options
	learned learned
	runs    sync.Pool // *run
}

// New returns a Handler.
func New(opts Options) (*Handler, error) {
	if opts.Group == nil || opts.Picker == nil || opts.Arena == nil {
		return nil, errors.New("relay: group, picker and arena are required")
	}
	if opts.LearnLane && opts.Pace == nil {
		return nil, errors.New("relay: who learns a lane wants a pace")
	}
	if opts.Protocol == nil {
		opts.Protocol = opts.Group.Protocol()
	}
	own, err := ownHeader()
	if err != nil {
		return nil, err
	}
	for _, s := range opts.SetHeader {
		if !httpfield.ValidName([]byte(s.Name)) {
			return nil, fmt.Errorf("relay: %q is no name of a header field", s.Name)
		}
	}
	opts.SetHeader = override(own, opts.SetHeader)
	opts.Params = override(nil, opts.Params)
	if opts.UpgradeTimeout == 0 {
		opts.UpgradeTimeout = opts.Timeouts.Read
	}
	return &Handler{opts: opts}, nil
}

// Serve sends ex to a peer and leaves the peer's response in ex.
func (h *Handler) Serve(ex *proxy.Exchange) error {
	r, panics := h.begin(ex), true
	defer func() {
		if panics {
			r.drop()
		}
	}()
	err := r.holdBody()
	held := err == nil
	if held {
		r.buildRequest()
		err = r.attempts()
	}
	if err == nil {
		err = r.divert()
	}
	if err == nil {
		r.respond()
	}
	panics = false
	if err != nil {
		r.keepBody(held)
		r.end()
	}
	return err
}
