package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// The levels of nginx that slog does not have.
const levelCrit = slog.Level(12)

// about returns the attributes that all lines about the present attempt have, followed by more.
func (r *run) about(more ...any) []any {
	group := r.h.opts.Group
	attrs := []any{"exchange", r.ex, "upstream", group.Name(), "scheme", group.Scheme(), "uri", string(r.req.Target)}
	if r.peer != nil {
		attrs = append(attrs, "peer", r.peer.Address())
	}
	return append(attrs, more...)
}

func (r *run) logFailed(failure *upstream.Error) {
	r.ex.Log().Error("peer failed",
		r.about("attempt", len(r.ex.Attempts), "phase", failure.Phase.String(), "err", failure)...)
}

func (r *run) logDisabled(phase upstream.Phase) {
	r.ex.Log().Warn("peer disabled", r.about("phase", phase.String())...)
}

func (r *run) logBudgetUsedUp(retries int, phase upstream.Phase) {
	r.ex.Log().Warn("retry budget used up", r.about("retries", retries, "phase", phase.String())...)
}

func (r *run) logNoPeers() {
	r.ex.Log().Error("no live upstreams", r.about()...)
}

func (r *run) logQueueFull(waiting int) {
	r.ex.Log().Error("queue full", r.about("waiting", waiting)...)
}

func (r *run) logClientFull(waiting int) {
	r.ex.Log().Error("client queue full", r.about("waiting", waiting)...)
}

func (r *run) logLane(lane upstream.Lane) {
	r.ex.Log().Info("lane learned", "upstream", r.h.opts.Group.Name(), "location", r.ex.Route.Path, "lane", lane.String())
}

func (r *run) logTooLate(phase upstream.Phase) {
	r.ex.Log().Error("deadline passed", r.about("took", seconds(r.h.opts.Deadline), "phase", phase.String())...)
}

func (r *run) logPoison(v verdict) {
	r.ex.Log().Error("request refused as poison", r.about("kills", v.kills, "left", seconds(v.left.Round(time.Second)))...)
}

func (r *run) logHung(processes int) {
	r.ex.Log().Error("request hangs everywhere", r.about("processes", processes)...)
}

func (r *run) logNoSlot(timeout time.Duration) {
	r.ex.Log().Error("no slot free", r.about("took", seconds(timeout))...)
}

func (r *run) logNoProcess(timeout time.Duration) {
	if len(r.h.opts.Group.Peers()) == 0 {
		r.ex.Log().Error("no peer resolved", r.about("took", seconds(timeout))...)
		return
	}
	r.ex.Log().Error("no process ready", r.about("took", seconds(timeout))...)
}

func (r *run) logLeftQueue() {
	r.ex.Log().Info("client left queue", r.about()...)
}

func (r *run) logStuck() {
	r.ex.Log().Error("process stuck", r.about("took", seconds(r.h.opts.BusyTimeout))...)
}

func (r *run) logClientGone(phase upstream.Phase) {
	r.ex.Log().Info("client gone", r.about("phase", phase.String())...)
}

// logCut is about a response that ended early: by the peer, or because of the client. A panic has its line.
func (r *run) logCut(err error) {
	failure, ok := errors.AsType[*upstream.Error](err)
	switch {
	case errors.Is(err, proxy.ErrPanicked):
	case ok && failure.Kind != upstream.Canceled:
		r.failed(failure)
		r.logFailed(failure)
	default:
		r.logClientGone(upstream.ReadingBody)
	}
}

func (r *run) logExcess() {
	r.ex.Log().Warn("excess body", r.about()...)
}

func (r *run) logSpill(path string) {
	r.ex.Log().Warn("response spilled", r.about("file", path)...)
}

func (r *run) logSpillError(err error) {
	r.ex.Log().Log(context.Background(), levelCrit, "spill failed", r.about("err", err)...)
}

// logRefused is about a request that cannot be put into the protocol of the peers.
func (r *run) logRefused(failure *upstream.Error) {
	r.ex.Log().Error("request not sent", r.about("phase", failure.Phase.String(), "err", failure.Err)...)
}

func (r *run) logBodyTooLarge() {
	r.ex.Log().Error("chunked request body too large", "exchange", r.ex, "bytes", r.ex.RequestBytes)
}

func (r *run) logBodyNotHeld(err error) {
	r.ex.Log().Log(context.Background(), levelCrit, "request body not held", "exchange", r.ex, "err", err)
}

func (r *run) logBodyCut(err error) {
	r.ex.Log().Info("client closed during request body", "exchange", r.ex, "err", err)
}

func (r *run) logBodyRefused(err error) {
	r.ex.Log().Info("request refused", "exchange", r.ex, "phase", "reading client request body", "err", err)
}

func (r *run) logBodySpill(path string) {
	r.ex.Log().Warn("request spilled", "exchange", r.ex, "file", path)
}

func (r *run) logStderr(text []byte) {
	r.ex.AddStderr(text)
	r.ex.Log().Error("process stderr", r.about("phase", r.conn.Phase.String(), "text", string(text))...)
}
