package cgi

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"spillway/upstream"
)

// Reasons why a request does not go to a peer. They come as the Err of an *upstream.Error of the kind Canceled, because
// the peer has no part in them; its Status is the answer.
var (
	// ErrUnsafeScript says that a file system may take the script's name for another one: 404.
	ErrUnsafeScript = errors.New("unsafe script name")
	// ErrBodyLength says that the length of the request's body is not known. CGI wants it in CONTENT_LENGTH, so the
	// caller holds such a body before it asks a peer: 411.
	ErrBodyLength = errors.New("body of unknown length")
)

// Params describe how the requests of a location become CGI variables. They are not changed after their first use.
type Params struct {
	Root     string // the folder of the scripts, nginx's root; empty: the application has no scripts
	Index    string // appended to a script name that ends with a slash, nginx's fastcgi_index; may be empty
	Split    *Split // nginx's fastcgi_split_path_info; nil: the whole path is the script
	Software string // SERVER_SOFTWARE: spillway/ and the version
}

// Fill replaces v by the variables of req. CONTENT_LENGTH is the first, and is always computed: it frames the body. The
// error is ErrUnsafeScript or ErrBodyLength in an *upstream.Error.
func (p *Params) Fill(v *Vars, req *upstream.Request) error {
	length := req.BodyLength
	if len(req.Bytes) > 0 {
		length = int64(len(req.Bytes))
	}
	if length < 0 {
		return Refuse(http.StatusLengthRequired, ErrBodyLength)
	}
	v.reset(req)
	defer v.release()
	v.collect(req)
	contentType, contentLength := v.takeContent()
	v.addLength(length, contentLength)
	add(v, "CONTENT_TYPE", contentType)
	if err := p.addPaths(v, req); err != nil {
		return err
	}
	p.addRequest(v, req)
	addConnection(v, req)
	v.addFields()
	v.addGiven()
	return nil
}

// Refuse is the error for a request that is not sent, and the status for the client.
func Refuse(status int, why error) error {
	return &upstream.Error{
		Phase: upstream.Sending, Kind: upstream.Canceled, Text: "request refused", Err: why, Status: status,
	}
}

// addLength adds CONTENT_LENGTH: empty without a body, unless the client itself declared a length of 0 (as nginx).
func (v *Vars) addLength(length int64, declared []byte) {
	v.buf = append(v.buf, "CONTENT_LENGTH"...)
	v.end()
	if length > 0 || len(declared) > 0 {
		v.buf = strconv.AppendInt(v.buf, length, 10)
	}
	v.end()
}

// addRequest adds what the request says and what the configuration does.
func (p *Params) addRequest(v *Vars, req *upstream.Request) {
	add(v, "GATEWAY_INTERFACE", "CGI/1.1")
	add(v, "SERVER_SOFTWARE", p.Software)
	add(v, "REDIRECT_STATUS", "200") // PHP with cgi.force_redirect serves nothing without it
	add(v, "REQUEST_METHOD", req.Method)
	if req.Asked != nil {
		add(v, "REQUEST_URI", req.Asked)
	} else {
		add(v, "REQUEST_URI", req.Target)
	}
	add(v, "DOCUMENT_URI", req.Path)
	add(v, "QUERY_STRING", req.Query)
	add(v, "SERVER_PROTOCOL", req.Proto)
	add(v, "REQUEST_SCHEME", req.Scheme)
	if req.Scheme == "https" {
		add(v, "HTTPS", "on")
	}
}

// addConnection adds the two ends of the client's connection. RFC 3875, section 4.1.14, wants a server name: without a
// configured one it is the address.
func addConnection(v *Vars, req *upstream.Request) {
	add(v, "REMOTE_ADDR", req.RemoteAddr)
	add(v, "REMOTE_PORT", req.RemotePort)
	add(v, "SERVER_ADDR", req.ServerAddr)
	add(v, "SERVER_PORT", req.ServerPort)
	if req.ServerName == "" {
		add(v, "SERVER_NAME", req.ServerAddr)
	} else {
		add(v, "SERVER_NAME", req.ServerName)
	}
}

// addPaths adds the variables that the request's path becomes; the package comment has the rules.
func (p *Params) addPaths(v *Vars, req *upstream.Request) error {
	scripts := p.Root != "" || v.isGiven("SCRIPT_FILENAME")
	if !scripts && p.Split == nil {
		add(v, "SCRIPT_NAME", "")
		add(v, "PATH_INFO", req.Path)
		return nil
	}
	name, info := req.Path, []byte(nil)
	if p.Split != nil {
		name, info = p.Split.cut(req.Path)
	}
	index := ""
	if len(name) > 0 && name[len(name)-1] == '/' {
		index = p.Index
	}
	if scripts && !safeScript(name) {
		return Refuse(http.StatusNotFound, ErrUnsafeScript)
	}
	v.addJoined("SCRIPT_NAME", "", name, index)
	if len(info) > 0 {
		add(v, "PATH_INFO", info)
	}
	if p.Root == "" {
		return nil
	}
	root := trimSlash(p.Root)
	add(v, "DOCUMENT_ROOT", root)
	v.addJoined("SCRIPT_FILENAME", root, name, index)
	return nil
}

// addJoined adds a variable whose value has three parts.
func (v *Vars) addJoined(name, root string, path []byte, index string) {
	if v.begin(name) {
		v.buf = append(v.buf, root...)
		v.buf = append(v.buf, path...)
		v.buf = append(v.buf, index...)
		v.end()
	}
}

// trimSlash takes the separator from the end of a folder's path, since a script name starts with one.
func trimSlash(root string) string {
	if last := root[len(root)-1]; last == '/' || last == '\\' {
		return root[:len(root)-1]
	}
	return root
}

// collect notes the fields that become variables: the client's, then those that the configuration sets.
func (v *Vars) collect(req *upstream.Request) {
	if v.visit == nil {
		v.visit = v.note
	}
	if req.Header != nil {
		req.Each(v.visit)
	}
	for i := range v.set {
		if set := &v.set[i]; len(set.Value) > 0 {
			v.fields = append(v.fields, field{name: set.Name, value: set.Value})
		}
	}
}

// note notes a client's field.
func (v *Vars) note(name, value []byte) bool {
	if fromClient(name) && !isSet(v.set, name) {
		v.fields = append(v.fields, field{name: name, value: value})
	}
	return true
}

// fromClient says whether a client's field may become a variable. Two names that differ for HTTP must not become one
// variable, so underscores, dots and the like are out.
func fromClient(name []byte) bool {
	for _, c := range name {
		if !distinct[c] {
			return false
		}
	}
	return len(name) > 0
}

// distinct has the bytes that no other byte is mistaken for: letters, digits and the hyphen.
var distinct = func() (table [256]bool) {
	for c := range table {
		table[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
	}
	return table
}()

// isSet says whether the configuration replaces or removes the field; names that become the same variable are the same.
func isSet(set []upstream.Field, name []byte) bool {
	for i := range set {
		if sameVariable(set[i].Name, name) {
			return true
		}
	}
	return false
}

// takeContent takes out the fields that have variables of their own, and those that must not become one: what belongs to
// the client's connection or frames its body (a body that arrived in chunks is whole by now), and Proxy.
func (v *Vars) takeContent() (contentType, contentLength []byte) {
	for i := range v.fields {
		f := &v.fields[i]
		switch {
		case is(f.name, "CONTENT_TYPE"):
			contentType = f.value
		case is(f.name, "CONTENT_LENGTH"):
			contentLength = f.value
		case is(f.name, "PROXY"), upstream.PerConnection(f.name):
		default:
			continue
		}
		f.name = nil
	}
	return contentType, contentLength
}

// is says whether a field becomes HTTP_ and the given name.
func is(name []byte, variable string) bool {
	if len(name) != len(variable) {
		return false
	}
	for i := range name {
		if variableBytes[name[i]] != variable[i] {
			return false
		}
	}
	return true
}

// addFields adds the HTTP_ variables. Several fields of a name are one variable (RFC 3875, section 4.1.18; RFC 9110,
// section 5.3), cookies are joined as RFC 6265 joins them.
func (v *Vars) addFields() {
	for i := range v.fields {
		f := &v.fields[i]
		if f.name == nil {
			continue
		}
		given := !v.beginField(f.name)
		if !given {
			v.buf = append(v.buf, f.value...)
		}
		separator := ", "
		if is(f.name, "COOKIE") {
			separator = "; "
		}
		for j := i + 1; j < len(v.fields); j++ {
			later := &v.fields[j]
			if later.name == nil || !sameVariable(f.name, later.name) {
				continue
			}
			later.name = nil
			if !given {
				v.buf = append(append(v.buf, separator...), later.value...)
			}
		}
		if !given {
			v.end()
		}
	}
}

// addGiven adds the variables of the configuration; nginx sends those with an empty value too.
func (v *Vars) addGiven() {
	for i := range v.given {
		name, value := v.given[i].Name, v.given[i].Value
		if len(name) == 0 || bytes.Equal(name, []byte("CONTENT_LENGTH")) {
			continue
		}
		v.buf = append(v.buf, name...)
		v.end()
		v.buf = append(v.buf, value...)
		v.end()
	}
}
