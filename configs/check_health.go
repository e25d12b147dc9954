package configs

import "strings"

// health looks for what contradicts itself, the upstream or the protocol.
func (k *checker) health(u *Upstream) {
	h := u.Health
	if h == nil {
		return
	}
	at := h.Places
	if h.Probe == ProbeTCP {
		for _, key := range []string{"path", "host", "match"} {
			if at.Has(key) {
				k.refuse(at.At(key), "is for probe: request; probe: tcp connects and asks nothing")
			}
		}
	} else {
		k.requestPath(at.At("path", ""), h.Path)
	}
	if h.Timeout > h.Interval {
		k.refuse(at.At("timeout", "interval"), "timeout is longer than interval: %v > %v", h.Timeout, h.Interval)
	}
	if h.Restart && u.Backend == nil {
		k.refuse(at.At("restart"), "is for a backend: spillway has not started these peers")
	}
	if h.Mandatory && u.Backend != nil {
		k.refuse(at.At("mandatory"), "is for peers; a process gets no requests before it is ready: write ready: {path: %s} in backend", h.Path)
	}
	if h.Probe == ProbeRequest && u.Backend != nil && u.Kind == "php-cgi" {
		if own, _ := u.Backend.variable(phpMaxRequests); strings.Trim(own, "0 ") != "" {
			k.refuse(u.Backend.Places.At("env."+phpMaxRequests, "env"),
				"php-cgi counts the probes of health, too, and would end by itself without a word; leave it out")
		}
	}
}

// ownScripts looks for scripts that the requests which spillway makes by itself would not find: what a location says is not said
// for them.
func (k *checker) ownScripts(u *Upstream) {
	if !u.asksByItself() || u.Protocol == HTTP || u.Script.Root != "" {
		return
	}
	for _, s := range k.config.Servers {
		for i := range s.Locations {
			if l := &s.Locations[i]; l.Pass == u.Name && l.Settings.Script.Root != "" {
				k.refuse(l.Settings.Places.At("root"), "no location is asked for health and ready of upstream %s; write root there", u.Name)
				return
			}
		}
	}
}

// requestPath looks at the path of a request that spillway makes by itself.
func (k *checker) requestPath(at Place, path string) {
	switch {
	case !strings.HasPrefix(path, "/"):
		k.refuse(at, "%s does not begin with a slash", quote(path))
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }):
		k.refuse(at, "%s has a blank, a control character or a #, which no request can have; write %%20 for a blank", quote(path))
	}
}
