package app

import (
	"fmt"
	"time"

	"spillway/buffering"
	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/proxy/routing"
	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/fastcgi"
	"spillway/upstream/http1"
	"spillway/upstream/scgi"
	"spillway/upstream/uwsgi"
)

// newTables makes the routing table of each listen address.
func (g *generation) newTables(parts parts) (map[string]*routing.Table[*proxy.Route], error) {
	routes := map[*configs.Server][]*proxy.Route{}
	for _, server := range g.config.Servers {
		made, err := g.newRoutes(server, parts)
		if err != nil {
			return nil, err
		}
		routes[server] = made
	}
	tables := map[string]*routing.Table[*proxy.Route]{}
	for _, l := range g.config.Listeners() {
		var builder routing.Builder[*proxy.Route]
		for _, server := range l.Servers {
			isDefault := routing.DefaultServer(server == l.Default)
			if err := addServer(&builder, server, isDefault, routes[server]); err != nil {
				return nil, fmt.Errorf("listen %s: %w", l.Address, err)
			}
		}
		tables[l.Address] = builder.Build()
	}
	return tables, nil
}

func addServer(
	b *routing.Builder[*proxy.Route], server *configs.Server, isDefault routing.DefaultServer, routes []*proxy.Route,
) error {
	locations, err := b.Server(server.Names, isDefault)
	if err != nil {
		return err
	}
	for i := range server.Locations {
		l := &server.Locations[i]
		if err := locations.Location(routing.Pattern{Path: l.Path, Exact: l.Exact}, routes[i]); err != nil {
			return err
		}
	}
	return nil
}

// newRoutes makes the routes of a server, one for each of its locations.
func (g *generation) newRoutes(server *configs.Server, parts parts) ([]*proxy.Route, error) {
	site := &proxy.Site{}
	if len(server.Names) > 0 {
		site.Name = server.Names[0]
	}
	var routes []*proxy.Route
	for i := range server.Locations {
		l := &server.Locations[i]
		handler, err := g.newRelay(l, parts)
		if err != nil {
			return nil, fmt.Errorf("location %s: %w", l.Path, err)
		}
		added, err := newAddedFields(l.Settings.Response.AddHeader)
		if err != nil {
			return nil, fmt.Errorf("location %s: %w", l.Path, err)
		}
		pages, err := newErrorPages(l.Settings.Response.ErrorPages)
		if err != nil {
			return nil, fmt.Errorf("location %s: %w", l.Path, err)
		}
		routes = append(routes, &proxy.Route{
			Site: site, Path: l.Path, Handler: handler, MaxBody: int64(l.Settings.Request.MaxSize),
			Internal: l.Internal, ErrorPages: pages, AddHeader: added,
			LimitRate: int64(l.Settings.Response.LimitRate), LimitAfter: int64(l.Settings.Response.LimitRateAfter),
		})
	}
	return routes, nil
}

// newRelay makes the handler of a location that passes to an upstream.
func (g *generation) newRelay(l *configs.Location, parts parts) (*relay.Handler, error) {
	group, s := g.group(l.Pass), &l.Settings
	protocol, err := newProtocol(group.config, s.Script, parts.version)
	if err != nil {
		return nil, err
	}
	setHeader, err := newSettings(s.SetHeader)
	if err != nil {
		return nil, fmt.Errorf("set_header: %w", err)
	}
	params, err := newSettings(s.Script.Params)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	fields, err := newFieldRules(&s.Response, group.config.Protocol)
	if err != nil {
		return nil, err
	}
	opts := relay.Options{
		Group: group.peers, Picker: group.picker, Arena: parts.arena, Spill: g.spill, Protocol: protocol,
		Limits: newLimits(&s.Buffering), Unbuffer: !s.Buffering.On,
		Timeouts: upstream.Timeouts{
			Connect: time.Duration(s.ConnectTimeout), Send: time.Duration(s.SendTimeout), Read: time.Duration(s.ReadTimeout),
		},
		Retry: newRetryPolicy(&s.Retry), Deadline: time.Duration(s.Deadline),
		SetHeader: setHeader, Params: params, Fields: fields, Intercept: s.Response.InterceptErrors,
		BodyMemory: int(s.Request.BufferSize), BodyLimit: int64(s.Request.MaxSize),
		StreamBody: !s.Request.Buffering, Finish: s.IgnoreClientAbort,
		KnowLength: !speaksHTTP11(group.config),
		Upgrade:    s.Upgrade && speaksHTTP11(group.config), UpgradeTimeout: time.Duration(s.UpgradeTimeout),
		EarlyHints: s.EarlyHints,
	}
	if err := setChoice(&opts, group.config); err != nil {
		return nil, err
	}
	if b := g.upstream(l.Pass).Backend; b != nil && b.BusyTimeout > 0 {
		opts.BusyTimeout, opts.OnStuck = time.Duration(b.BusyTimeout), group.onStuck
	}
	opts.Poison, opts.Unresolved = group.poison, group.unresolved
	opts.Lane, opts.LearnLane = lanes[l.Lane], l.Lane == configs.LaneAuto
	if g.learnsLanes(l.Pass) {
		opts.Pace = group.pace
	}
	return relay.New(opts)
}

// lanes are those of the configuration; a location that learns its own begins as normal.
var lanes = map[configs.Lane]upstream.Lane{
	configs.LaneExpress: upstream.Express, configs.LaneNormal: upstream.Normal, configs.LaneBulk: upstream.Bulk,
	configs.LaneAuto: upstream.Normal,
}

// learnsLanes says whether some location of an upstream learns its lane, so that all of them have to be measured.
func (g *generation) learnsLanes(name string) bool {
	for _, server := range g.config.Servers {
		for i := range server.Locations {
			if l := &server.Locations[i]; l.Pass == name && l.Lane == configs.LaneAuto {
				return true
			}
		}
	}
	return false
}

// speaksHTTP11 says whether requests to an upstream have what HTTP/1.1 brought: chunks, and upgrades.
func speaksHTTP11(u *configs.Upstream) bool {
	return u.Protocol == configs.HTTP && u.HTTPVersion == "1.1"
}

// newProtocol makes the wire language of an upstream, with the script settings of a location.
func newProtocol(u *configs.Upstream, script configs.Script, version string) (upstream.Protocol, error) {
	keepAlive := u.Keepalive > 0
	if u.Protocol == configs.HTTP {
		return http1.New(http1.Options{KeepAlive: keepAlive, Old: u.HTTPVersion == "1.0"}), nil
	}
	params := cgi.Params{Root: script.Root, Index: script.Index, Software: "spillway/" + version}
	if script.SplitPathInfo != "" {
		split, err := cgi.ParseSplit(script.SplitPathInfo)
		if err != nil {
			return nil, err
		}
		params.Split = split
	}
	switch u.Protocol {
	case configs.SCGI:
		return scgi.New(scgi.Options{Params: params}), nil
	case configs.UWSGI:
		return uwsgi.New(uwsgi.Options{
			Params: params, Modifier1: uint8(script.Modifier1), Modifier2: uint8(script.Modifier2),
		}), nil
	default:
		return fastcgi.New(fastcgi.Options{Params: params, KeepConn: keepAlive}), nil
	}
}

func newSettings(fields []configs.TemplateField) ([]relay.Setting, error) {
	var settings []relay.Setting
	for _, f := range fields {
		value, err := compile(f.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		settings = append(settings, relay.Setting{Name: f.Name, Value: value})
	}
	return settings, nil
}

func newLimits(b *configs.Buffering) buffering.Limits {
	return buffering.Limits{
		BufferSize: int(b.BufferSize), Buffers: b.Buffers.Number, BufferBytes: int(b.Buffers.Size),
		BusySize: int64(b.BusyBuffersSize), MaxTempFile: int64(b.MaxTempFileSize), TempFileWrite: int64(b.TempFileWriteSize),
	}
}

// conditions are nginx's words of next_upstream; configs has checked that there are no others, and "off" is none.
var conditions = map[string]relay.Condition{
	"error": relay.OnError, "timeout": relay.OnTimeout, "invalid_header": relay.OnInvalidHeader,
	"http_500": relay.OnHTTP500, "http_502": relay.OnHTTP502, "http_503": relay.OnHTTP503, "http_504": relay.OnHTTP504,
	"http_403": relay.OnHTTP403, "http_404": relay.OnHTTP404, "http_429": relay.OnHTTP429,
	"non_idempotent": relay.NonIdempotent,
}

func newRetryPolicy(r *configs.Retry) relay.RetryPolicy {
	policy := relay.RetryPolicy{Tries: r.Tries, Timeout: time.Duration(r.Timeout)}
	for _, word := range r.On {
		policy.On |= conditions[word]
	}
	return policy
}
