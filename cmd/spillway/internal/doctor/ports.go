package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"spillway/configs"
	"spillway/upstream/host"
)

// listen is an address that spillway listens on itself.
type listen struct {
	key, network, address string
}

// listens returns the addresses of config in the order of the file.
func listens(config *configs.Config) []listen {
	var all []listen
	for _, l := range config.Listeners() {
		all = append(all, listen{"listen", l.Network, l.Address})
	}
	if config.Admin.Address != "" {
		all = append(all, listen{"admin.listen", config.Admin.Network, config.Admin.Address})
	}
	return all
}

// portOf returns the port of an address of the configuration; 0 when it has none.
func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// ipOf returns the address without its port; what is written as a name is not valid.
func ipOf(address string) netip.Addr {
	host, _, _ := net.SplitHostPort(address)
	ip, _ := netip.ParseAddr(host)
	return ip
}

// isLocal says whether an address leads to this machine, by its text alone.
func isLocal(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	return ipOf(address).IsLoopback() || strings.EqualFold(host, "localhost")
}

// owner returns who takes the connections to an address, or the nearest to it.
func (f *facts) owner(address string) (host.Process, bool) {
	port, ip := portOf(address), ipOf(address)
	for _, exact := range []bool{true, false} {
		for _, s := range f.sockets {
			if int(s.Address.Port()) == port && (!exact || s.Address.Addr() == ip) {
				return f.process(s.PID), true
			}
		}
	}
	return host.Process{}, false
}

// localOwner returns who takes the connections to 127.0.0.1:port.
func (f *facts) localOwner(port int) (host.Process, bool) {
	for _, ip := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		for _, s := range f.sockets {
			if int(s.Address.Port()) == port && s.Address.Addr().String() == ip {
				return f.process(s.PID), true
			}
		}
	}
	return host.Process{}, false
}

func (f *facts) process(pid int) host.Process {
	for _, p := range f.processes {
		if p.PID == pid {
			return p
		}
	}
	return host.Process{PID: pid}
}

// ours says whether p is a running spillway or was started by one.
func (f *facts) ours(p host.Process) bool {
	for range 100 { // a list that was read while processes came and went may have a circle
		if p.PID == 0 {
			return false
		}
		if p.Is(f.program) {
			return true
		}
		p = f.process(p.Parent)
	}
	return false
}

// checkListen says whether spillway can listen where it is to.
func checkListen(f *facts) (findings []Finding) {
	for _, l := range listens(f.config) {
		finding := Finding{Topic: "port " + strconv.Itoa(portOf(l.address)), Severity: Error}
		err := f.binding[l.address]
		owner, taken := f.owner(l.address)
		switch {
		case err == nil:
			finding.Severity, finding.Text = OK, l.key+" "+l.address+" is free"
		case taken && f.ours(owner):
			finding.Severity, finding.Text = OK, fmt.Sprintf("%s %s belongs to the spillway that is running: %s", l.key, l.address, owner)
		case taken:
			finding.Text = fmt.Sprintf("%s %s is taken by %s", l.key, l.address, describe(owner))
			finding.Fix = f.endFix(owner)
		default:
			finding.Text = fmt.Sprintf("%s %s cannot be bound: %v", l.key, l.address, err)
			finding.Fix = bindFix(err, portOf(l.address))
		}
		findings = append(findings, finding)
	}
	return findings
}

// checkWeb says who has the ports of the web, for who is about to write them into a configuration.
func checkWeb(f *facts) (findings []Finding) {
	for _, port := range []int{80, 443} {
		if slices.ContainsFunc(listens(f.config), func(l listen) bool { return portOf(l.address) == port }) {
			continue // checkListen
		}
		if owner, taken := f.owner("0.0.0.0:" + strconv.Itoa(port)); taken && !f.ours(owner) {
			findings = append(findings, Finding{
				Severity: Note, Topic: "port " + strconv.Itoa(port), Text: "belongs to " + describe(owner), Fix: f.endFix(owner),
			})
		}
	}
	return findings
}

// checkBackendPorts says who listens where the processes of a backend are to.
func checkBackendPorts(f *facts) (findings []Finding) {
	for _, u := range f.config.Upstreams {
		if u.Backend == nil || len(u.Backend.Ports) == 0 {
			continue
		}
		var free, served []int
		strangers := map[host.Process][]int{}
		for _, port := range u.Backend.Ports {
			switch owner, taken := f.localOwner(port); {
			case !taken:
				free = append(free, port)
			case f.ours(owner):
				served = append(served, port)
			default:
				strangers[owner] = append(strangers[owner], port)
			}
		}
		topic := "backend " + u.Name
		var taken []Finding
		for owner, ports := range strangers {
			text := fmt.Sprintf("%s taken by %s", name(ports, "is", "are"), describe(owner))
			if owner.Orphan {
				text += ", which nobody looks after: who started it is gone"
			}
			taken = append(taken, Finding{Severity: Error, Topic: topic, Text: text, Fix: f.endFix(owner)})
		}
		slices.SortFunc(taken, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
		findings = append(findings, taken...)
		if len(served) > 0 {
			findings = append(findings, Finding{Topic: topic, Text: name(served, "is", "are") + " served by the spillway that is running"})
		}
		if len(free) > 0 {
			findings = append(findings, Finding{Topic: topic, Text: name(free, "is", "are") + " free"})
		}
	}
	return findings
}

// checkPeers says when nobody listens at a peer on this machine.
func checkPeers(f *facts) (findings []Finding) {
	for _, u := range f.config.Upstreams {
		var silent []string
		for i := range u.Peers {
			p := &u.Peers[i]
			if p.Network != "tcp" || p.Down || !isLocal(p.Address) || len(f.sockets) == 0 {
				continue
			}
			if _, taken := f.owner(p.Address); !taken {
				silent = append(silent, p.Address)
			}
		}
		if len(silent) > 0 {
			findings = append(findings, Finding{
				Severity: Warning, Topic: "upstream " + u.Name, Text: "nobody listens on " + strings.Join(silent, ", "),
				Fix: "start the program, or name it under backend: and spillway starts it",
			})
		}
	}
	return findings
}

// fixedPorts returns all ports that the configuration names, ascending.
func (f *facts) fixedPorts() []int {
	var ports []int
	for _, l := range listens(f.config) {
		ports = append(ports, portOf(l.address))
	}
	for _, u := range f.config.Upstreams {
		if u.Backend != nil {
			ports = append(ports, u.Backend.Ports...)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// checkExcluded finds ports that the system has given away: to listen there is refused, though nobody listens.
func checkExcluded(f *facts) (findings []Finding) {
	for _, e := range f.exclusions {
		if e.Reserved {
			continue
		}
		ports := slices.DeleteFunc(f.fixedPorts(), func(port int) bool { return !e.Contains(port) })
		if len(ports) > 0 {
			findings = append(findings, Finding{
				Severity: Error, Topic: "excluded ports",
				Text: fmt.Sprintf("%s in %s, which Windows has set aside (Hyper-V, WSL, Docker): to listen there is refused with error 10013",
					name(ports, "lies", "lie"), e.Range),
				Fix: excludedFix(ports),
			})
		}
	}
	return findings
}

// checkEphemeral finds ports that the system may give to an outgoing connection just when a process wants to listen there.
func checkEphemeral(f *facts) []Finding {
	if f.ephemeral.First == 0 {
		return nil
	}
	all := f.fixedPorts()
	ports := slices.DeleteFunc(slices.Clone(all), func(port int) bool {
		set := slices.ContainsFunc(f.exclusions, func(e host.Exclusion) bool { return e.Contains(port) })
		return set || !f.ephemeral.Contains(port)
	})
	switch {
	case len(ports) > 0:
		return []Finding{{
			Severity: Warning, Topic: "ephemeral ports",
			Text: fmt.Sprintf("%s in %s, from which outgoing connections take theirs: now and then a process will find its port taken",
				name(ports, "lies", "lie"), f.ephemeral),
			Fix: f.reserveFix(ports),
		}}
	case len(all) > 0:
		return []Finding{{Topic: "ephemeral ports", Text: fmt.Sprintf("no configured port lies in %s", f.ephemeral)}}
	}
	return nil
}

// name begins a sentence about ports, with the verb for one or for several.
func name(ports []int, one, several string) string {
	if len(ports) == 1 {
		return "port " + join(ports) + " " + one
	}
	return "ports " + join(ports) + " " + several
}

// join writes ports as ranges: 9001-9008, 9100.
func join(ports []int) string {
	var texts []string
	for _, r := range ranges(ports) {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, ", ")
}

// ranges returns the ranges that ports make up.
func ranges(ports []int) []host.Range {
	ports = slices.Compact(slices.Sorted(slices.Values(ports)))
	var all []host.Range
	for _, port := range ports {
		if n := len(all); n > 0 && all[n-1].Last == port-1 {
			all[n-1].Last = port
			continue
		}
		all = append(all, host.Range{First: port, Last: port})
	}
	return all
}
