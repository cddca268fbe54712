package breakerd

import (
	"context"
	"time"
)

// A Guard is the leave to make one call, and takes how it ended: by Success, Failure, Timeout,
// Ignored, End or Done. The first of them counts; a call that lasted longer than its timeout is a
// TIMEOUT. A Guard is used by one goroutine at a time and not copied. The zero value takes
// everything and reports nothing.
type Guard struct {
	_       noCopy
	breaker *Breaker
	view    *view
	tally   *tally
	// began is when the call began.
	began  int64
	limit  time.Duration
	permit uint64
	// guard and local are the leaves of local breakers.
	guard, local localTicket
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Success reports that the call did what it was meant to do.
func (g *Guard) Success() { g.end(Success, "") }

// Failure reports that the call failed. The kind is a word such as `http.503`, over which
// failure_errors and ignored_errors of the breaker have globs; with no kind it is always a failure.
func (g *Guard) Failure(kind string) { g.end(Failure, kind) }

// Timeout reports that the call took too long.
func (g *Guard) Timeout() { g.end(Timeout, "") }

// Ignored reports that the call counts for nothing: its caller cancelled it, or made a mistake.
func (g *Guard) Ignored() { g.end(Ignored, "") }

// End reports what a function for classification said.
func (g *Guard) End(verdict Verdict) { g.end(verdict.Outcome, verdict.Kind) }

// Done reports what the error means, by [WithClassify]. It is made to be deferred, with the named
// error of a function; a panic is a failure, and goes on.
func (g *Guard) Done(err *error) {
	if panicked := recover(); panicked != nil {
		g.Failure(kindPanic)
		panic(panicked)
	}
	if g.breaker != nil {
		g.End(g.breaker.client.settings.classify(*err))
	}
}

// CallTimeout is how long the call may take before it is a TIMEOUT.
func (g *Guard) CallTimeout() time.Duration { return g.limit }

// Generation is that of the breaker under which the call was admitted; 0 if that is not known.
func (g *Guard) Generation() uint64 {
	if g.breaker == nil {
		return 0
	}
	return g.tally.generation
}

// IsProbe says whether the call holds a permit, and so finds out whether calls can flow again.
func (g *Guard) IsProbe() bool { return g.permit != 0 }

// context is the context of the call: it ends with the call's timeout at the latest.
func (g *Guard) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= g.limit {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, g.limit)
}

func (g *Guard) end(outcome Outcome, kind string) {
	b := g.breaker
	if b == nil {
		return
	}
	g.breaker = nil
	ended := b.client.clock()
	lasted := ended - g.began
	isSlow := g.view.slowCall > 0 && lasted > int64(g.view.slowCall)
	isPlain := outcome == Success && !isSlow && lasted < quickCall && lasted <= int64(g.limit)
	if isPlain && g.permit == 0 && g.view.exists && g.guard.breaker == nil && g.local.breaker == nil {
		b.client.outcomes.success(g.tally, lasted, ended)
		return
	}
	g.report(b, outcome, kind, lasted, ended)
}

// report is the way of the outcomes that are not simply counted.
func (g *Guard) report(b *Breaker, outcome Outcome, kind string, lasted, ended int64) {
	duration := min(max(time.Duration(lasted), 0), maxRunTotal)
	if (outcome == Success || outcome == Failure) && duration > g.limit {
		outcome = Timeout
	}
	if outcome < Success || outcome > Ignored {
		outcome = Ignored
	}
	kind = tameKind(kind)
	g.guard.record(outcome, kind, duration, ended)
	g.local.record(outcome, kind, duration, ended)
	r := &run{
		tally: g.tally, outcome: outcome, kind: kind, count: 1,
		total: duration, longest: duration, ended: ended, permit: g.permit,
	}
	if slow := g.view.slowCall; slow > 0 && duration > slow {
		r.slow = 1
	}
	if !g.view.exists && g.permit == 0 {
		b.client.outcomes.announce(r)
		return
	}
	b.client.outcomes.push(r, isPrompt(r))
}
