package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// untimed is how long an answer without a TTL is good. The system has its own memory, and the hosts file is no network.
	untimed = 10 * time.Second

	// A TTL of 0 means "ask each time", which would be each request; and nobody wants to wait for a day until a move is seen.
	minTTL = time.Second
	maxTTL = 5 * time.Minute

	// maxTargets is more than any upstream needs; an answer can hold thousands of addresses.
	maxTargets = 256

	defaultTimeout = 5 * time.Second
)

// Options say whom a Resolver asks, and how.
type Options struct {
	Servers []string      // name servers as host:port; none: the system's, with its hosts file first
	Valid   time.Duration // how long an answer is good, whatever its TTL says; 0: what that says
	Timeout time.Duration // of one lookup; 0 is 5 s
	NoIPv6  bool          // AAAA is not asked for
}

// Resolver asks DNS. Any number of goroutines may use it.
type Resolver struct {
	servers  []string
	valid    time.Duration
	timeout  time.Duration
	families []string // ip4, ip6

	first atomic.Uint64 // of servers: the one that is asked first; the next one when it does not answer
}

// New returns a Resolver.
func New(opts Options) *Resolver {
	r := &Resolver{servers: opts.Servers, valid: opts.Valid, timeout: opts.Timeout, families: []string{"ip4", "ip6"}}
	if r.timeout == 0 {
		r.timeout = defaultTimeout
	}
	if opts.NoIPv6 {
		r.families = r.families[:1]
	}
	return r
}

// Question is what is asked for.
type Question struct {
	Name    string // the host name; only with Servers it has to be complete, else the search list of the system applies
	Service string // of an SRV record: http for _http._tcp, or _name._udp as it is; "": A and AAAA are asked for
}

// String returns the question as logs show it.
func (q Question) String() string {
	if q.Service == "" {
		return q.Name
	}
	return q.Name + " service=" + q.Service
}

// Target is one address of an answer. It is comparable: what is equal is the same peer.
type Target struct {
	Host   string // the name that has the address: that of the question, or the target of an SRV record
	Addr   netip.Addr
	Port   uint16 // of an SRV record, else 0
	Weight int    // of an SRV record, at least 1; else 0
	Backup bool   // an SRV record of a lower priority than the best
}

// Answer is what a name means at present.
type Answer struct {
	Targets []Target // sorted; none: the name exists without addresses, or not at all
	TTL     time.Duration
}

// Lookup asks. When a part of the answer fails, such as AAAA alone, that part is taken from before, the targets of the answer
// before; an error is that nothing was answered. A name that does not exist is no error but an answer without targets.
func (r *Resolver) Lookup(ctx context.Context, q Question, before []Target) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	l := &lookup{r: r, before: before}
	if q.Service == "" {
		l.host(ctx, Target{Host: q.Name})
	} else if err := l.services(ctx, q); err != nil {
		return Answer{}, err
	}
	if l.answered == 0 && l.err != nil {
		return Answer{}, l.err
	}
	if len(l.targets) > maxTargets {
		return Answer{}, fmt.Errorf("%d addresses, more than %d", len(l.targets), maxTargets)
	}
	slices.SortFunc(l.targets, compare)
	return Answer{Targets: slices.Compact(l.targets), TTL: r.validity(l.ttl)}, nil
}

// Check asks, and returns why the answer is of no use, in few words; nil: it has addresses.
func (r *Resolver) Check(ctx context.Context, q Question) error {
	answer, err := r.Lookup(ctx, q, nil)
	switch {
	case err != nil:
		return reason(err)
	case len(answer.Targets) == 0:
		return errNoAddress
	default:
		return nil
	}
}

// validity is how long an answer with this TTL is good; 0: it had none.
func (r *Resolver) validity(ttl time.Duration) time.Duration {
	switch {
	case r.valid > 0:
		return r.valid
	case ttl == 0:
		return untimed
	default:
		return min(max(ttl, minTTL), maxTTL)
	}
}

func compare(a, b Target) int {
	bools := map[bool]int{true: 1}
	return cmp.Or(cmp.Compare(bools[a.Backup], bools[b.Backup]), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port),
		strings.Compare(a.Host, b.Host), cmp.Compare(a.Weight, b.Weight))
}

// lookup collects the answers to one question.
type lookup struct {
	r      *Resolver
	before []Target

	mu       sync.Mutex // guards all below
	targets  []Target
	ttl      time.Duration // the smallest; 0: none was said
	answered int           // parts
	err      error         // of the part that failed last
}

// host asks for the addresses of like.Host, both families at once; each becomes a target that is otherwise like like.
func (l *lookup) host(ctx context.Context, like Target) {
	var asked sync.WaitGroup
	for _, family := range l.r.families {
		asked.Go(func() { // ends with ctx
			t := l.r.newTap()
			addresses, err := t.resolver().LookupNetIP(ctx, family, l.r.absolute(like.Host))
			err = t.ended(err)
			l.mu.Lock()
			defer l.mu.Unlock()
			switch {
			case err == nil, notFound(err):
				l.answer(t.ttl())
				for _, address := range addresses {
					target := like
					target.Addr = address.Unmap()
					l.targets = append(l.targets, target)
				}
			default:
				l.err = err
				l.keep(like, family)
			}
		})
	}
	asked.Wait()
}

// services asks for SRV records, and for the addresses of their targets. As in nginx, the records of the best priority are the
// primary ones and all others the backup.
func (l *lookup) services(ctx context.Context, q Question) error {
	t := l.r.newTap()
	service, proto, name := q.Service, "tcp", l.r.absolute(q.Name)
	if strings.Contains(service, ".") {
		service, proto, name = "", "", service+"."+name
	}
	_, records, err := t.resolver().LookupSRV(ctx, service, proto, name)
	err = t.ended(err)
	if len(records) == 0 && err != nil && !notFound(err) { // records beside an error: some of them had no proper name
		return err
	}
	if len(records) > maxTargets {
		return fmt.Errorf("%d records, more than %d", len(records), maxTargets)
	}
	l.answer(t.ttl())
	if len(records) > 0 {
		l.answered = 0 // what counts is whether their addresses are found
	}
	var asked sync.WaitGroup
	for _, record := range records {
		host := strings.TrimSuffix(record.Target, ".")
		if host == "" {
			continue // RFC 2782: the service is decidedly not available
		}
		like := Target{Host: host, Port: record.Port, Weight: max(int(record.Weight), 1), Backup: record.Priority != records[0].Priority}
		asked.Go(func() { l.host(ctx, like) }) // ends with ctx
	}
	asked.Wait()
	return nil
}

// answer notes an answer and its TTL; 0: it had none.
func (l *lookup) answer(ttl time.Duration) {
	l.answered++
	if ttl > 0 && (l.ttl == 0 || ttl < l.ttl) {
		l.ttl = ttl
	}
}

// keep takes over what was known of a host's family that does not answer at present.
func (l *lookup) keep(like Target, family string) {
	for _, t := range l.before {
		if t.Host == like.Host && t.Addr.Is4() == (family == "ip4") {
			like.Addr = t.Addr
			l.targets = append(l.targets, like)
		}
	}
}

// absolute returns a name that no search list is applied to: those are for the system's own servers.
func (r *Resolver) absolute(name string) string {
	if len(r.servers) == 0 || strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}

// notFound says that the name does not exist, or has no such record. The hosts file may have an address of the other family,
// which net calls no suitable one.
func notFound(err error) bool {
	failure, ok := errors.AsType[*net.DNSError](err)
	if _, unsuitable := errors.AsType[*net.AddrError](err); unsuitable {
		return true
	}
	return ok && failure.IsNotFound
}
