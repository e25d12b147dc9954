package fastcgi

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// decodeAll gives wire to the decoder in two parts, each in memory of its own, and returns what it made of them.
func decodeAll(wire string, cut int) (out string, lines []string, d *records, err error) {
	d = &records{}
	log := func(line []byte) { lines = append(lines, string(line)) }
	for _, part := range []string{wire[:cut], wire[cut:]} {
		p := []byte(part)
		from, n, partErr := d.decode(p, log)
		out += string(p[from : from+n])
		if partErr != nil {
			return out, lines, d, partErr
		}
	}
	return out, lines, d, nil
}

func TestRecords_AtEverySplitPoint(t *testing.T) {
	wire := "\x01\x07\x00\x01\x00\x04\x03\x00oops..." + // STDERR
		"\x01\x06\x00\x01\x00\x05\x00\x00hello" +
		"\x01\x0a\x00\x00\x00\x02\x00\x00??" + // GET_VALUES_RESULT
		"\x01\x06\x00\x01\x00\x06\x01\x00 world." +
		"\x01\x06\x00\x01\x00\x00\x02\x00.." +
		"\x01\x03\x00\x01\x00\x08\x04\x00\x00\x00\x00\x05\x00\x00\x00\x00...."
	for cut := range len(wire) + 1 {
		out, lines, d, err := decodeAll(wire, cut)
		if out != "hello world" || err != nil || strings.Join(lines, "|") != "oops" {
			t.Fatalf("cut at %d: got %q, stderr %q, error %v", cut, out, lines, err)
		}
		if !d.ended || !d.stdoutClosed || d.extra || d.applicationStatus() != 5 || d.protocolStatus() != 0 {
			t.Fatalf("cut at %d: got %+v", cut, d)
		}
		if cut < len(wire) {
			if _, _, d, _ := decodeAll(wire[:cut], cut/2); d.ended {
				t.Fatalf("ended after %d bytes of %d", cut, len(wire))
			}
		}
		if _, _, d, _ := decodeAll(wire+"x", cut); !d.extra {
			t.Fatalf("cut at %d: the byte behind the end was not seen", cut)
		}
	}
}

// oracle decodes what is complete of wire, record by record, the slow way.
func oracle(wire string) (out string, ended bool, errText string) {
	closed := false
	for len(wire) >= 8 && !ended {
		recordType, content := wire[1], int(binary.BigEndian.Uint16([]byte(wire[4:6])))
		id := binary.BigEndian.Uint16([]byte(wire[2:4]))
		management := id == 0 && (recordType == 10 || recordType == 11)
		switch {
		case wire[0] != 1:
			return out, false, "version"
		case !management && recordType != 3 && recordType != 6 && recordType != 7:
			return out, false, "type"
		case !management && id != 1, recordType == 6 && closed && content > 0:
			return out, false, "unexpected"
		}
		whole, rest := wire[8:], ""
		if size := content + int(wire[6]); size <= len(whole) {
			whole, rest = whole[:size], whole[size:]
		}
		if recordType == 6 {
			out += whole[:min(content, len(whole))]
			closed = closed || content == 0 && len(whole) == int(wire[6])
		}
		if recordType == 3 && len(whole) == content+int(wire[6]) {
			if content < 8 {
				return out, false, "unexpected"
			}
			ended = true
		}
		wire = rest
	}
	return out, ended, ""
}

// Whatever a peer sends and wherever it is cut, the decoder agrees with the oracle.
func FuzzRecords(f *testing.F) {
	f.Add("\x01\x06\x00\x01\x00\x05\x01\x00helloP\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", uint(3))
	f.Add("\x01\x07\x00\x01\x00\x01\x00\x00e\x01\x06\x00\x01\x00\x00\x00\x00\x01\x06\x00\x01\x00\x01\x00\x00x", uint(9))
	f.Add("\x01\x0b\x00\x00\x00\x00\x00\x00\x02", uint(1))
	f.Fuzz(func(t *testing.T, wire string, cut uint) {
		want, wantEnded, wantErr := oracle(wire)
		out, lines, d, err := decodeAll(wire, int(cut%uint(len(wire)+1)))
		if out != want || d.ended != wantEnded || (err != nil) != (wantErr != "") {
			t.Fatalf("got %q, ended %v, %v; want %q, ended %v, %q", out, d.ended, err, want, wantEnded, wantErr)
		}
		if err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Fatalf("got %v, want %s", err, wantErr)
		}
		for _, line := range lines {
			if len(line) == 0 || len(line) > stderrLimit {
				t.Fatalf("got a line of %d bytes", len(line))
			}
		}
	})
}

// What is encoded is read back by a decoder that knows only the specification.
func FuzzParams(f *testing.F) {
	f.Add("NAME", "value", "/path", uint(1))
	f.Add("N", strings.Repeat("v", 128), "/", uint(600))
	f.Fuzz(func(t *testing.T, name, value, path string, times uint) {
		value = strings.Repeat(value, int(times%2000))
		if name == "" || strings.HasPrefix(name, "HTTP_") || name == "CONTENT_LENGTH" || len(value) > 1<<20 {
			return
		}
		req := &upstream.Request{
			Path: []byte(path), Header: &fasthttp.RequestHeader{},
			Params: []upstream.Field{{Name: []byte(name), Value: []byte(value)}, {Name: []byte("LAST"), Value: []byte(path)}},
		}
		var r request
		p := New(Options{Params: cgi.Params{Software: "spillway"}})
		if err := p.params.Fill(&r.vars, req); err != nil {
			t.Fatal(err)
		}
		r.head(false)
		vars := pairs(t, r.buf[16:])
		for i := range r.vars.Len() {
			name, value := r.vars.At(i)
			if vars[i] != [2]string{string(name), string(value)} {
				t.Fatalf("variable %d: got %.40q, want %.40q=%.40q", i, vars[i], name, value)
			}
		}
		if len(vars) != r.vars.Len() {
			t.Fatalf("got %d variables, want %d", len(vars), r.vars.Len())
		}
	})
}

// pairs reads PARAMS records up to the empty one, which must be the last.
func pairs(t *testing.T, wire []byte) (list [][2]string) {
	t.Helper()
	var stream []byte
	for {
		length := int(binary.BigEndian.Uint16(wire[4:]))
		if wire[0] != 1 || wire[1] != 4 || wire[2] != 0 || wire[3] != 1 || wire[6] != 0 {
			t.Fatalf("got record header %x", wire[:8])
		}
		stream = append(stream, wire[8:8+length]...)
		if wire = wire[8+length:]; length == 0 {
			break
		}
	}
	if len(wire) != 0 {
		t.Fatalf("%d bytes behind the end", len(wire))
	}
	length := func() int {
		n := int(stream[0])
		if n < 128 {
			stream = stream[1:]
			return n
		}
		n = int(binary.BigEndian.Uint32(stream) & 0x7fffffff)
		stream = stream[4:]
		return n
	}
	for len(stream) > 0 {
		name, value := length(), length()
		list = append(list, [2]string{string(stream[:name]), string(stream[name : name+value])})
		stream = stream[name+value:]
	}
	return list
}
