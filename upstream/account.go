package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What is known of the process at an address outlives the group that got to know it. When another group takes the place of one,
// for its settings have changed, requests of both are at the process for a while, and each has to know of those of the other:
//
//  1. newPeer looks in the groups of GroupOptions.Kin for a peer of the same address, and shares its account.
//  2. Slots are taken and freed in the account; each group compares with its own limit. Free gives the slot to a request that
//     waits in one of the groups, and asks the oldest group first.
//  3. SetState, for whichever of the peers, is for all of them, and has its effects once.
//  4. Group.Close and Group.Remove let go of the account.
//
// What depends on the settings of a group stays its own: idle connections, the verdict of its probes, the weight and whether
// the peer is Gone.

// account is what the peers of one address have in common.
type account struct {
	made time.Time // where the times of flights begin

	slots    atomic.Uint64 // state and slots in use, see slot.go
	draining atomic.Bool   // somebody waits in Drained
	runs     atomic.Uint64 // how often the peer began to serve; changed under mu
	requests atomic.Uint64 // slots taken since the start
	before   atomic.Uint64 // those of them that the present process has not had
	spentRun atomic.Uint64 // the last process that OnSpent was called for; 0: none
	failures atomic.Uint64 // failed attempts since the start, for the status page
	probes   atomic.Int64  // slots in use that probes have
	times    times         // see times.go

	sharers atomic.Pointer[[]*Peer] // that use the account, the oldest group's first; immutable, replaced under mu

	diedAt   atomic.Int64  // Unix time in ns since when the present process is suspected, see died; 0: it is not
	fails    atomic.Int64  // since the last success after a check; changed under mu, read without it where 0 is enough
	mu       sync.Mutex    // guards all below, and changes of health of the sharers
	accessed time.Time     // last failure
	checked  time.Time     // last failure, or last time that the peer was tried after FailTimeout
	endedRun uint64        // the process that went out of service last; 0: none did
	endedAt  time.Time     // when it did
	empty    chan struct{} // closed when no slot is in use; nil when nobody waits for that
}

// open gives a new peer its account: that of kin, or without one a new account in the given state.
func (p *Peer) open(kin *Peer, state State) {
	if kin != nil {
		p.account = kin.account
		p.inherit(kin)
		return
	}
	p.account = &account{made: time.Now()}
	p.sharers.Store(&[]*Peer{p})
	p.effective.Store(int64(p.weight))
	p.slots.Store(uint64(state) * stateUnit)
	if state == Serving {
		p.renew()
	}
	p.health.Store(uint32(p.group.initial))
}

// inherit makes the peer one more that uses its account, and takes over what kin knows beyond that.
func (p *Peer) inherit(kin *Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	more := slices.Concat(*p.sharers.Load(), []*Peer{p})
	p.sharers.Store(&more)
	p.effective.Store(min(kin.effective.Load(), int64(p.weight)))
	p.slowSince.Store(kin.slowSince.Load())
	p.allot()
	switch g := p.group; {
	case !g.probed || p.State() != Serving: // a verdict is one on a process
	case kin.group.probed:
		p.health.Store(kin.health.Load())
	default:
		p.health.Store(uint32(g.initial))
	}
}

// leave ends the peer's use of its account. Requests that still have slots give them back as before.
func (p *Peer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fewer := slices.DeleteFunc(slices.Clone(*p.sharers.Load()), func(other *Peer) bool { return other == p })
	p.sharers.Store(&fewer)
}

// Shares says that both peers, of two groups, are the same process: they have the same slots, the same runs and failures.
func (p *Peer) Shares(other *Peer) bool { return p.account == other.account }

// kinOf returns the peer of another group whose account a new peer shares; nil: it has one of its own. An address that a group
// has twice is two accounts. The caller knows that nobody else adds peers.
func (g *Group) kinOf(address string, peers []*Peer) *Peer {
	has := func(kin *Peer) bool { return slices.ContainsFunc(peers, kin.Shares) }
	for _, group := range g.kin {
		if group.closed.Load() {
			continue
		}
		for _, kin := range group.Peers() {
			if kin.address == address && !has(kin) {
				return kin
			}
		}
	}
	return nil
}
