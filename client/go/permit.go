package breakerd

import (
	"context"
	"time"

	"breakerd.dev/client/go/breakerpb"
)

const (
	// lingerTime is how long an Acquire goes on after nobody waits for it any more, so that a permit
	// that comes late can be given back.
	lingerTime = 5 * time.Second
	// maxLingering is how many Acquires of a client may do so.
	maxLingering = 256
)

// askForPermit asks the server to decide, and waits for the answer for the permit timeout at most.
func (b *Breaker) askForPermit(ctx context.Context, v *view) (admission, error) {
	c := b.client
	if !b.gate.enter(c.clock(), v.maxProbes, c.heard.Load()) {
		if v.mode == Shadow {
			return admission{tally: v.tally, limit: v.callTimeout}, nil
		}
		return admission{}, b.denied(v, ReasonNoPermit, 0)
	}
	answer, err := b.awaitPermit(ctx)
	how := askedAnswered
	switch {
	case ctx.Err() != nil && err != nil:
		how = askedGivenUp
	case err != nil:
		how = askedUnanswered
	case answer.GetReason() == breakerpb.AcquireReason_ACQUIRE_REASON_NO_PERMIT:
		how = askedNoPermit
	}
	b.gate.leave(how, c.clock(), c.heard.Load())
	switch {
	case how == askedGivenUp:
		return admission{}, ctx.Err()
	case err != nil && v.mode == Shadow:
		return admission{tally: v.tally, limit: v.callTimeout}, nil
	case err != nil:
		return b.fallback(v)
	}
	return b.obey(v, answer)
}

// obey does what an answer says.
func (b *Breaker) obey(v *view, answer *breakerpb.AcquireResponse) (admission, error) {
	if !answer.GetAllowed() {
		return admission{}, &DeniedError{
			Breaker: b.name, Reason: reasonOf(answer.GetReason()), RetryAfter: answer.GetRetryAfter().AsDuration(),
			State: stateOf(answer.GetState()), Mode: modeOf(answer.GetMode()), Level: levelOf(answer.GetLevel()),
		}
	}
	admitted := admission{
		tally:  b.tallyOf(answer.GetGeneration()),
		permit: answer.GetPermit().GetId(),
		limit:  orDuration(answer.GetSettings().GetCallTimeout(), v.callTimeout),
	}
	if left := answer.GetPermit().GetTimeLeft(); left != nil {
		admitted.limit = min(admitted.limit, left.AsDuration())
	}
	return admitted, nil
}

func reasonOf(reason breakerpb.AcquireReason) Reason {
	switch reason {
	case breakerpb.AcquireReason_ACQUIRE_REASON_NO_PERMIT:
		return ReasonNoPermit
	case breakerpb.AcquireReason_ACQUIRE_REASON_FORCED_OPEN:
		return ReasonForcedOpen
	case breakerpb.AcquireReason_ACQUIRE_REASON_RAMP_FULL:
		return ReasonRamp
	}
	return ReasonOpen
}

// permitAnswer is how an Acquire ended.
type permitAnswer struct {
	response *breakerpb.AcquireResponse
	err      error
}

// awaitPermit waits for an Acquire. One that is not waited for any more goes on for a while, and what
// it brings is given back.
func (b *Breaker) awaitPermit(ctx context.Context) (*breakerpb.AcquireResponse, error) {
	c := b.client
	answers := make(chan permitAnswer)
	abandoned := make(chan struct{})
	wait, cancel := context.WithTimeout(c.context, c.settings.permitTimeout)
	ask, stop := context.WithTimeout(c.context, c.settings.permitTimeout+lingerTime)
	r := c.servers.begin()
	first := r.server
	if !c.start(func() {
		defer stop()
		response, err := c.acquire(ask, wait, r, b.name)
		select {
		case answers <- permitAnswer{response, err}:
		case <-abandoned:
			c.lingering.Add(-1)
			b.giveBack(response)
		}
	}) {
		cancel()
		stop()
		return nil, ErrClosed
	}
	defer cancel()
	select {
	case answer := <-answers:
		return answer.response, answer.err
	case <-wait.Done():
	case <-ctx.Done():
	}
	if c.lingering.Add(1) > maxLingering {
		stop()
	}
	close(abandoned)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c.servers.advance(&round{server: first}, "")
	return nil, context.DeadlineExceeded
}

// giveBack reports the permit of an answer that came too late.
func (b *Breaker) giveBack(response *breakerpb.AcquireResponse) {
	if permit := response.GetPermit().GetId(); permit != 0 {
		b.client.outcomes.push(&run{
			tally: b.tallyOf(response.GetGeneration()), outcome: Ignored, count: 1,
			ended: b.client.clock(), permit: permit,
		}, true)
	}
}
