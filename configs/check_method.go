package configs

// choice checks what the method and sticky mean for the peers. The restrictions are nginx's.
func (k *checker) choice(u *Upstream) {
	const others = "use round_robin, least_conn or least_time, or leave it out"
	if u.SlowStart > 0 && !u.Method.hasBackups() {
		k.refuse(u.Places.At("slow_start", "method"), "the method %s has no slow_start; %s", u.Method.Name, others)
	}
	for i := range u.Peers {
		p := &u.Peers[i]
		if p.Backup && !u.Method.hasBackups() {
			k.refuse(p.Places.At("backup"), "the method %s has no backup peers; %s", u.Method.Name, others)
		}
		if p.SlowStart > 0 && p.Places.Has("slow_start") && !u.Method.hasBackups() {
			k.refuse(p.Places.At("slow_start"), "the method %s has no slow_start; %s", u.Method.Name, others)
		}
		if p.Drain && u.Sticky.Cookie == "" {
			k.refuse(p.Places.At("drain"), "is for an upstream with sticky: without it no request is bound to the peer; write down: on")
		}
	}
	if u.Sticky.SameSite == "none" && !u.Sticky.Secure {
		k.refuse(u.Places.At("sticky.samesite", "sticky"), "browsers drop a cookie with none that is not secure; write secure: on as well")
	}
}
