package resolve

import (
	"errors"
	"net"
	"net/netip"

	"spillway/upstream"
)

// adopt lets the group have a peer for each target, and none for those that the answer before had.
func (n *followed) adopt(targets []Target) {
	wanted := map[Target]bool{}
	for _, t := range targets {
		wanted[t] = true
		if n.peers[t] != nil {
			continue
		}
		p, err := n.f.opts.Group.Add(n.peerOptions(t))
		if err != nil {
			n.log.Warn("peer not added", "peer", t.Addr, "err", err)
			continue
		}
		n.peers[t] = p
		n.log.Info("peer added", "peer", p.Address())
	}
	for t, p := range n.peers {
		if wanted[t] {
			continue
		}
		delete(n.peers, t)
		n.f.opts.Group.Remove(p)
		n.log.Info("peer removed", "peer", p.Address())
	}
}

// peerOptions are those of a target's peer.
func (n *followed) peerOptions(t Target) upstream.PeerOptions {
	opts, port := n.name.Peer, n.name.Port
	if n.name.Service != "" {
		port = t.Port
		opts.Weight, opts.Backup = t.Weight, opts.Backup || t.Backup
	}
	opts.Address, opts.Name = netip.AddrPortFrom(t.Addr, port).String(), n.name.Name
	return opts
}

// reason is an error of net in few words: the name is in the line already, and the server tells who did not answer.
func reason(err error) error {
	failure, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		return err
	}
	text := failure.Err
	if failure.IsTimeout {
		text = "no answer in time"
	}
	if failure.Server != "" {
		text += " (" + failure.Server + ")"
	}
	return errors.New(text)
}
