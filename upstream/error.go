package upstream

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Phase says what an attempt was doing. Its text is the one that nginx puts after "while" in an error line.
type Phase uint8

// The phases of an attempt, in their order.
const (
	Connecting  Phase = iota + 1
	Handshaking       // TLS
	Sending
	ReadingHead
	ReadingBody
	Upgraded // the connection belongs to another protocol, see Conn.Upgrade
)

// String returns nginx's words for the phase.
func (p Phase) String() string {
	switch p {
	case Connecting:
		return "connecting to upstream"
	case Handshaking:
		return "SSL handshaking to upstream"
	case Sending:
		return "sending request to upstream"
	case ReadingHead:
		return "reading response header from upstream"
	case ReadingBody:
		return "reading upstream"
	case Upgraded:
		return "proxying upgraded connection"
	default:
		return "handling the request"
	}
}

// Kind is the class of a failure; retries (nginx's next_upstream) and the status for the client go by it.
type Kind uint8

// The classes of failures.
const (
	Failed   Kind = iota // nginx's "error": the connection broke or was closed early; 502
	Refused              // no connection came about, so nothing was sent; "error" and 502 as well
	TimedOut             // nginx's "timeout"; 504
	Invalid              // nginx's "invalid_header": the peer's answer is not to be trusted; 502
	Canceled             // ended on our side, by Conn.Cancel or by the request itself: not the peer's fault
)

// Error is how an attempt failed.
type Error struct {
	Phase Phase
	Kind  Kind
	Text  string // nginx's words, such as "upstream prematurely closed connection"
	Err   error  // the system's error behind it; nil if there is none

	// Status is what the client gets for a request that no peer can be asked, because the protocol cannot express it or we
	// have no socket left; nothing was sent, and Err says why. The kind is Canceled. 0 for all other errors.
	Status int
}

// Error returns nginx's words followed by the system's error as "(number: text)", without the phase.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + " (" + systemText(e.Err) + ")"
}

// Unwrap returns the system's error.
func (e *Error) Unwrap() error { return e.Err }

// NewError returns an Error without a system error; protocols use it for what a peer should not have sent.
func NewError(phase Phase, kind Kind, text string) *Error {
	return &Error{Phase: phase, Kind: kind, Text: text}
}

// ClosedEarly is the error for a connection that ended before the response did.
func ClosedEarly(phase Phase) *Error {
	return NewError(phase, Failed, "upstream prematurely closed connection")
}

// Silence is the error for an upgraded connection on which nothing has moved for too long.
func Silence() *Error {
	return &Error{Phase: Upgraded, Kind: TimedOut, Text: "upstream timed out", Err: errTimedOut}
}

// TooBigHeader is the error for a response head that does not fit into nginx's buffer_size.
func TooBigHeader() *Error {
	return NewError(ReadingHead, Invalid, "upstream sent too big header")
}

// classify turns a network error into an Error. call is the system call that nginx would name: connect, send or recv.
func classify(phase Phase, call string, err error) *Error {
	if own := (*Error)(nil); errors.As(err, &own) {
		return own
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Error{Phase: phase, Kind: TimedOut, Text: "upstream timed out", Err: errTimedOut}
	}
	if errors.Is(err, io.EOF) {
		return ClosedEarly(phase)
	}
	kind := Failed
	if phase == Connecting {
		kind = Refused
	}
	return &Error{Phase: phase, Kind: kind, Text: callName(call) + " failed", Err: err}
}

// systemText is "111: Connection refused", as nginx writes it: the number, then the system's text with a capital
// letter and without the full stop that Windows adds.
func systemText(err error) string {
	errno := syscall.Errno(0)
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := strings.TrimRight(errno.Error(), ". \r\n")
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return strconv.Itoa(int(errno)) + ": " + text
}
