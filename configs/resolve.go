package configs

// resolve fills Servers and Upstreams of the Config from what is written, with everything inherited.
func (d *draft) resolve() Problems {
	for i := range d.upstreams {
		u := &d.upstreams[i]
		if u.asksByItself() {
			var own Settings
			apply(&own, Places{}, d.settings, u.settings)
			u.Script = own.Script
		}
		d.Upstreams = append(d.Upstreams, &u.Upstream)
	}
	problems := d.expandShortForm()
	for i := range d.servers {
		d.Servers = append(d.Servers, d.resolveServer(&d.servers[i]))
	}
	return problems
}

// asksByItself reports whether spillway makes requests to u for which there is no location: probes, and what a process is asked
// before it is ready.
func (u *Upstream) asksByItself() bool {
	return u.Health != nil && u.Health.Probe == ProbeRequest || u.Backend != nil && (u.Backend.Ready.Path != "" || len(u.Backend.Ready.Warmup) > 0)
}

// expandShortForm makes a server of a listen at the top level: one location / that passes to the only upstream.
func (d *draft) expandShortForm() Problems {
	short, long := d.Places.Has("listen"), d.Places.Has("servers")
	switch {
	case short && long:
		return Problems{d.Places.At("listen").problem("is for a file without servers; write it in each of servers")}
	case long && d.Places.Has("tls"):
		return Problems{d.Places.At("tls").problem("is for a file without servers; write it in each of servers")}
	case long:
		return nil
	case !short:
		return Problems{d.Places.At().problem(`no server: write listen, such as listen: "8080", or servers`)}
	case !d.Places.Has("upstreams"):
		return Problems{d.Places.At().problem("no upstream: write upstreams")}
	case d.upstreams == nil:
		return nil // refused, a problem already
	case len(d.upstreams) != 1:
		return Problems{d.Places.At("listen").problem(
			"the short form without servers needs exactly one upstream, got %d; write servers with locations", len(d.upstreams))}
	}
	at := d.Places.At("listen")
	places := Places{"": at, "listen": at, "locations": at}
	if d.Places.Has("tls") {
		places["tls"] = d.Places.At("tls")
	}
	d.servers = []serverDraft{{
		Server: Server{Listen: d.listen, TLS: d.tls, Names: []string{""}, Places: places},
		locations: []locationDraft{{
			Location: Location{Path: "/", Pass: d.upstreams[0].Name, Lane: LaneNormal, Places: Places{"": at, "path": at, "pass": at}},
		}},
	}}
	return nil
}

func (d *draft) resolveServer(s *serverDraft) *Server {
	s.Client = DefaultClient()
	apply(&s.Client, s.Places, d.client, s.client)
	for i := range s.locations {
		l := &s.locations[i]
		l.Settings = d.resolveSettings(s, l)
		s.Locations = append(s.Locations, l.Location)
	}
	return &s.Server
}

// resolveSettings lets the nearest value win: location, upstream, server, top level, default.
func (d *draft) resolveSettings(s *serverDraft, l *locationDraft) Settings {
	var upstream layer[Settings]
	for i := range d.upstreams {
		if d.upstreams[i].Name == l.Pass {
			upstream = d.upstreams[i].settings
		}
	}
	settings := DefaultSettings()
	settings.Places = Places{"": l.Places.At()}
	settings.refused = !apply(&settings, settings.Places, d.settings, s.settings, upstream, l.settings)
	settings.Derive()
	return settings
}
