package uwsgi

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"

	"spillway/upstream/cgi"
)

// Options describe how the requests of a location are sent.
type Options struct {
	Params cgi.Params

	// What the packet is for; nginx's uwsgi_modifier1 and uwsgi_modifier2. 0 and 0 are a request for WSGI (or for what
	// uWSGI is told to have there), 5 for PSGI, 7 for Rack, 9 for CGI.
	Modifier1, Modifier2 uint8
}

// New returns uwsgi as upstream.Protocol.
func New(opts Options) *cgi.OneShot {
	return cgi.NewOneShot(opts.Params, func(dst []byte, vars *cgi.Vars) ([]byte, error) {
		return appendPacket(dst, vars, opts.Modifier1, opts.Modifier2)
	})
}

// appendPacket appends the header and the variables: each of them a name and a value, and before each of both its length.
func appendPacket(dst []byte, vars *cgi.Vars, modifier1, modifier2 uint8) ([]byte, error) {
	size := vars.Size() + 4*vars.Len()
	if size > math.MaxUint16 {
		return nil, cgi.Refuse(http.StatusRequestHeaderFieldsTooLarge,
			fmt.Errorf("%d bytes of variables, and uwsgi carries %d", size, math.MaxUint16))
	}
	dst = append(dst, modifier1)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(size))
	dst = append(dst, modifier2)
	for i := range vars.Len() {
		name, value := vars.At(i)
		dst = appendText(appendText(dst, name), value)
	}
	return dst, nil
}

func appendText(dst, text []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(text))), text...)
}
