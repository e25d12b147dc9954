package scgi

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"spillway/upstream/cgi"
)

// ErrZeroByte says that a variable has a byte 0, which ends names and values here: 400. It is the Err of the *upstream.Error.
var ErrZeroByte = errors.New("a zero byte in a variable")

// Options describe how the requests of a location are sent.
type Options struct {
	Params cgi.Params
}

// New returns SCGI as upstream.Protocol.
func New(opts Options) *cgi.OneShot { return cgi.NewOneShot(opts.Params, block) }

// The variables that the specification wants, and the value of the second one.
const (
	lengthName  = "CONTENT_LENGTH"
	versionName = "SCGI"
	version     = "1"
)

// block appends the variables as a netstring. SCGI is the last of them: Perl's SCGI takes an empty value there for the end of
// its input in the middle of a variable.
func block(dst []byte, vars *cgi.Vars) ([]byte, error) {
	_, length := vars.At(0)
	if len(length) == 0 {
		length = []byte("0") // it must be there
	}
	size := sizeOf(lengthName, length) + sizeOf(versionName, version)
	for i := 1; i < vars.Len(); i++ {
		name, value := vars.At(i)
		if bytes.IndexByte(name, 0) >= 0 || bytes.IndexByte(value, 0) >= 0 {
			return nil, cgi.Refuse(http.StatusBadRequest, ErrZeroByte)
		}
		if !ours(name) {
			size += sizeOf(name, value)
		}
	}
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, ':')
	dst = appendVariable(dst, lengthName, length)
	for i := 1; i < vars.Len(); i++ {
		if name, value := vars.At(i); !ours(name) {
			dst = appendVariable(dst, name, value)
		}
	}
	dst = appendVariable(dst, versionName, version)
	return append(dst, ','), nil
}

// ours says whether a variable of the configuration has the name of one that is always sent.
func ours(name []byte) bool { return string(name) == versionName }

// sizeOf is what appendVariable appends.
func sizeOf[N, V []byte | string](name N, value V) int { return len(name) + len(value) + 2 }

func appendVariable[N, V []byte | string](dst []byte, name N, value V) []byte {
	dst = append(append(dst, name...), 0)
	return append(append(dst, value...), 0)
}
