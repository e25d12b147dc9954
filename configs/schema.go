package configs

import (
	"slices"
	"strings"
)

// The tables of this file and of schema_upstream.go are the schema: each key of each section, what reads its value, and
// where the value goes. examples/full.yaml documents every key.

// draft is a file as it is written, before anything is inherited.
type draft struct {
	Config

	listen    []Listen  // the short form
	tls       ServerTLS // likewise
	servers   []serverDraft
	upstreams []upstreamDraft
	client    layer[Client]
	settings  layer[Settings]
}

type serverDraft struct {
	Server

	locations []locationDraft
	client    layer[Client]
	settings  layer[Settings]
}

type locationDraft struct {
	Location

	settings layer[Settings]
}

func topFields() []field[draft] {
	return []field[draft]{
		value("listen", (*reader).listen, func(d *draft) *[]Listen { return &d.listen }),
		value("tls", (*reader).serverTLS, func(d *draft) *ServerTLS { return &d.tls }),
		value("upstreams", (*reader).upstreams, func(d *draft) *[]upstreamDraft { return &d.upstreams }),
		value("servers", (*reader).servers, func(d *draft) *[]serverDraft { return &d.servers }),
		{"access_log", readAccessLog},
		{"error_log", readErrorLog},
		value("temp_path", (*reader).path, func(d *draft) *string { return &d.TempPath }),
		value("memory_budget", (*reader).budget, func(d *draft) *Size { return &d.MemoryBudget }),
		value("temp_budget", (*reader).budget, func(d *draft) *Size { return &d.TempBudget }),
		value("resolver", (*reader).resolver, func(d *draft) *Resolver { return &d.Resolver }),
		value("admin", (*reader).admin, func(d *draft) *Admin { return &d.Admin }),
		value("why", (*reader).why, func(d *draft) *Why { return &d.Why }),
		value("control", (*reader).control, func(d *draft) *string { return &d.Control }),
		value("shutdown_timeout", (*reader).timeout, func(d *draft) *Duration { return &d.ShutdownTimeout }),
	}
}

func serverFields() []field[serverDraft] {
	return []field[serverDraft]{
		value("listen", (*reader).listen, func(s *serverDraft) *[]Listen { return &s.Listen }),
		value("tls", (*reader).serverTLS, func(s *serverDraft) *ServerTLS { return &s.TLS }),
		value("default_server", (*reader).flag, func(s *serverDraft) *bool { return &s.DefaultServer }),
		value("server_name", (*reader).serverNames, func(s *serverDraft) *[]string { return &s.Names }),
		value("locations", (*reader).locations, func(s *serverDraft) *[]locationDraft { return &s.locations }),
	}
}

func locationFields() []field[locationDraft] {
	return []field[locationDraft]{
		{"path", readLocationPath},
		value("pass", (*reader).upstreamName, func(l *locationDraft) *string { return &l.Pass }),
		value("lane", word([]Lane{LaneExpress, LaneNormal, LaneBulk, LaneAuto}), func(l *locationDraft) *Lane { return &l.Lane }),
		value("internal", (*reader).flag, func(l *locationDraft) *bool { return &l.Internal }),
	}
}

// clientFields are allowed at the top level and in a server.
func clientFields() []field[Client] {
	return []field[Client]{
		value("client_header_timeout", (*reader).timeout, func(c *Client) *Duration { return &c.HeaderTimeout }),
		value("client_body_timeout", (*reader).timeout, func(c *Client) *Duration { return &c.BodyTimeout }),
		value("client_send_timeout", (*reader).timeout, func(c *Client) *Duration { return &c.SendTimeout }),
		value("keepalive_timeout", (*reader).duration, func(c *Client) *Duration { return &c.KeepaliveTimeout }),
		value("keepalive_requests", number(1, anyCount), func(c *Client) *int { return &c.KeepaliveRequests }),
	}
}

// settingFields are allowed at the top level, in a server, in an upstream and in a location.
func settingFields() []field[Settings] {
	return slices.Concat(responseFields(), []field[Settings]{
		value("buffering", (*reader).flag, func(s *Settings) *bool { return &s.Buffering.On }),
		value("buffer_size", (*reader).bufferSize, func(s *Settings) *Size { return &s.Buffering.BufferSize }),
		value("buffers", (*reader).buffers, func(s *Settings) *Buffers { return &s.Buffering.Buffers }),
		value("busy_buffers_size", (*reader).budget, func(s *Settings) *Size { return &s.Buffering.BusyBuffersSize }),
		value("max_temp_file_size", (*reader).size, func(s *Settings) *Size { return &s.Buffering.MaxTempFileSize }),
		value("temp_file_write_size", (*reader).bufferSize, func(s *Settings) *Size { return &s.Buffering.TempFileWriteSize }),
		value("request_buffering", (*reader).flag, func(s *Settings) *bool { return &s.Request.Buffering }),
		value("client_max_body_size", (*reader).size, func(s *Settings) *Size { return &s.Request.MaxSize }),
		value("client_body_buffer_size", (*reader).bufferSize, func(s *Settings) *Size { return &s.Request.BufferSize }),
		value("connect_timeout", (*reader).timeout, func(s *Settings) *Duration { return &s.ConnectTimeout }),
		value("send_timeout", (*reader).timeout, func(s *Settings) *Duration { return &s.SendTimeout }),
		value("read_timeout", (*reader).timeout, func(s *Settings) *Duration { return &s.ReadTimeout }),
		value("upgrade", (*reader).flag, func(s *Settings) *bool { return &s.Upgrade }),
		value("upgrade_timeout", (*reader).timeout, func(s *Settings) *Duration { return &s.UpgradeTimeout }),
		value("early_hints", (*reader).flag, func(s *Settings) *bool { return &s.EarlyHints }),
		value("deadline", offOr((*reader).duration), func(s *Settings) *Duration { return &s.Deadline }),
		value("next_upstream", (*reader).nextUpstream, func(s *Settings) *[]string { return &s.Retry.On }),
		value("next_upstream_tries", number(0, anyCount), func(s *Settings) *int { return &s.Retry.Tries }),
		value("next_upstream_timeout", (*reader).duration, func(s *Settings) *Duration { return &s.Retry.Timeout }),
		value("ignore_client_abort", (*reader).flag, func(s *Settings) *bool { return &s.IgnoreClientAbort }),
		value("set_header", (*reader).headerFields, func(s *Settings) *[]TemplateField { return &s.SetHeader }),
		value("params", (*reader).templateFields, func(s *Settings) *[]TemplateField { return &s.Script.Params }),
		value("root", (*reader).optionalPath, func(s *Settings) *string { return &s.Script.Root }),
		value("index", (*reader).text, func(s *Settings) *string { return &s.Script.Index }),
		value("split_path_info", (*reader).text, func(s *Settings) *string { return &s.Script.SplitPathInfo }),
		value("modifier1", number(0, 255), func(s *Settings) *int { return &s.Script.Modifier1 }),
		value("modifier2", number(0, 255), func(s *Settings) *int { return &s.Script.Modifier2 }),
	})
}

func accessLogFields() []field[AccessLog] {
	return []field[AccessLog]{
		value("path", (*reader).offOrPath, func(l *AccessLog) *string { return &l.Path }),
		value("format", (*reader).logFormat, func(l *AccessLog) *Template { return &l.Format }),
		value("rotate", (*reader).rotate, func(l *AccessLog) *Rotate { return &l.Rotate }),
	}
}

func errorLogFields() []field[ErrorLog] {
	levels := []string{"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"}
	return []field[ErrorLog]{
		value("path", (*reader).errorLogPath, func(l *ErrorLog) *string { return &l.Path }),
		value("level", word(levels), func(l *ErrorLog) *string { return &l.Level }),
		value("format", word([]string{"nginx", "json"}), func(l *ErrorLog) *string { return &l.Format }),
		value("rotate", (*reader).rotate, func(l *ErrorLog) *Rotate { return &l.Rotate }),
	}
}

func rotateFields() []field[Rotate] {
	return []field[Rotate]{
		value("size", offOr((*reader).rotateSize), func(o *Rotate) *Size { return &o.Size }),
		value("every", offOr((*reader).rotateEvery), func(o *Rotate) *Duration { return &o.Every }),
		value("keep", number(1, mostKept), func(o *Rotate) *int { return &o.Keep }),
		value("compress", (*reader).flag, func(o *Rotate) *bool { return &o.Compress }),
	}
}

func whyFields() []field[Why] {
	return []field[Why]{
		value("keep", number(1, mostKept), func(w *Why) *int { return &w.Keep }),
		value("memory", (*reader).whyMemory, func(w *Why) *Size { return &w.Memory }),
		value("header", (*reader).flag, func(w *Why) *bool { return &w.Header }),
	}
}

func adminFields() []field[Admin] {
	return []field[Admin]{
		value("listen", (*reader).adminListen, func(a *Admin) *string { return &a.Address }),
	}
}

// homeOf names the section that has a key, or returns "" when none has.
func homeOf(key string) string {
	for _, section := range []struct {
		name string
		keys []string
	}{
		{"the top level", keys(topFields())},
		{"the top level or a server", keys(clientFields())},
		{"a server", keys(serverFields())},
		{"a location", keys(locationFields())},
		{"an upstream", keys(upstreamFields())},
		{"a backend", keys(backendFields())},
		{"a peer", keys(peerFields())},
	} {
		if slices.Contains(section.keys, key) {
			return section.name
		}
	}
	return ""
}

// allTopFields are the keys of the top level with what it says about servers and locations.
func allTopFields() []field[draft] {
	return slices.Concat(topFields(),
		inherited(clientFields(), func(d *draft) *layer[Client] { return &d.client }),
		inherited(settingFields(), func(d *draft) *layer[Settings] { return &d.settings }))
}

func allServerFields() []field[serverDraft] {
	return slices.Concat(serverFields(),
		inherited(clientFields(), func(s *serverDraft) *layer[Client] { return &s.client }),
		inherited(settingFields(), func(s *serverDraft) *layer[Settings] { return &s.settings }))
}

func allLocationFields() []field[locationDraft] {
	return slices.Concat(locationFields(),
		inherited(settingFields(), func(l *locationDraft) *layer[Settings] { return &l.settings }))
}

func (r *reader) servers(n *node) ([]serverDraft, bool) {
	if n.kind != list {
		r.refuse(n, "want a list of servers (- listen: ...), got %s", n.describe())
		return nil, false
	}
	if len(n.items) == 0 {
		r.refuse(n, "is empty")
	}
	servers := make([]serverDraft, len(n.items))
	for i, item := range n.items {
		s := &servers[i]
		s.Names = []string{""} // nginx's default: requests without Host, and all others when it is the default server
		s.Places = section(r, item, s, allServerFields())
	}
	return servers, true
}

func (r *reader) locations(n *node) ([]locationDraft, bool) {
	if n.kind != list {
		r.refuse(n, "want a list of locations (- path: ...), got %s", n.describe())
		return nil, false
	}
	if len(n.items) == 0 {
		r.refuse(n, "is empty")
	}
	locations := make([]locationDraft, len(n.items))
	for i, item := range n.items {
		l := &locations[i]
		l.Lane = LaneNormal
		l.Places = section(r, item, l, allLocationFields())
	}
	return locations, true
}

// upstreamName reads a name; whether there is such an upstream is seen later.
func (r *reader) upstreamName(n *node) (string, bool) {
	s, ok := r.text(n)
	if ok && s == "" {
		r.refuse(n, "want the name of an upstream")
		return "", false
	}
	return s, ok
}

// readLocationPath reads "/x", nginx's "= /x", and "@x".
func readLocationPath(r *reader, n *node) func(*locationDraft) {
	s, ok := r.text(n)
	if !ok {
		return nil
	}
	if strings.HasPrefix(s, "~") || strings.HasPrefix(s, "^~") {
		r.refuse(n, `%s comes later; want a prefix such as "/x" or an exact path such as "= /x"`, quote(s))
		return nil
	}
	if strings.HasPrefix(s, "@") {
		if len(s) == 1 || strings.ContainsAny(s, " \t/?") {
			r.refuse(n, `%s is no name of a location; want one such as "@fallback"`, quote(s))
			return nil
		}
		return func(l *locationDraft) { l.Path = s }
	}
	path, exact := strings.CutPrefix(s, "=")
	if exact {
		path = strings.TrimLeft(path, " ")
	}
	if !strings.HasPrefix(path, "/") {
		r.refuse(n, `%s does not begin with a slash; want "/x" or "= /x"`, quote(s))
		return nil
	}
	return func(l *locationDraft) { l.Path, l.Exact = path, exact }
}

// serverNames reads nginx's server_name; ".x" is x and *.x.
func (r *reader) serverNames(n *node) ([]string, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	names := []string{}
	if len(texts) == 0 {
		r.refuse(n, `is empty; a request without a host name is ""`)
	}
	for i, s := range texts {
		item := n.list()[i]
		s = strings.ToLower(s)
		bare, isDot := strings.CutPrefix(s, ".")
		switch {
		case strings.HasPrefix(s, "~"):
			r.refuse(item, "the regular expression %s is not supported yet; want an exact name, *.x or x.*", quote(s))
			ok = false
		case !validServerName(s):
			r.refuse(item, "invalid server name or wildcard %s; want an exact name, *.x or x.*", quote(s))
			ok = false
		case isDot:
			names = append(names, bare, "*"+s)
		default:
			names = append(names, s)
		}
	}
	return names, ok
}

func validServerName(s string) bool {
	s, front := strings.CutPrefix(s, "*.")
	s, back := strings.CutSuffix(s, ".*")
	if !front && !back {
		s = strings.TrimPrefix(s, ".")
	}
	if front && back || front && s == "" || back && s == "" {
		return false
	}
	return !strings.ContainsAny(s, "*/ \t\r\n") && !strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
}

// nextUpstream reads nginx's conditions of a retry, in one text or as a list.
func (r *reader) nextUpstream(n *node) ([]string, bool) {
	known := []string{
		"error", "timeout", "invalid_header", "http_500", "http_502", "http_503", "http_504",
		"http_403", "http_404", "http_429", "non_idempotent", "off",
	}
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	words := strings.Fields(strings.Join(texts, " "))
	for _, w := range words {
		if !slices.Contains(known, w) {
			hint := didYouMean(w, known)
			if hint == "" || strings.HasPrefix(w, "http_") { // one status is not near another
				hint = "; want " + strings.Join(known, " ")
			}
			r.refuse(n, "unknown %s%s", quote(w), hint)
			ok = false
		}
	}
	off := slices.Contains(words, "off")
	if off && len(words) > 1 {
		r.refuse(n, "off stands alone, got %s", quote(strings.Join(words, " ")))
		return nil, false
	}
	if len(words) == 0 {
		r.refuse(n, "no value; write off for no retries")
		return nil, false
	}
	unique := []string{}
	for _, w := range words {
		if w != "off" && !slices.Contains(unique, w) {
			unique = append(unique, w)
		}
	}
	return unique, ok
}
