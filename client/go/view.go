package breakerd

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

// A view is what the copy holds of a breaker, or that it holds nothing. It never changes: news is
// another view.
type view struct {
	// exists: the copy holds the breaker. If not, a view that is covered knows that there is none.
	exists, covered bool
	state           State
	mode            Mode
	generation      uint64
	revision        uint64
	// retryAt is when OPEN ends by itself, and overrideEndsAt when the override does; never if not.
	retryAt, overrideEndsAt int64
	// admitPercent is the share that flows on a ramp; -1 without one.
	admitPercent  int32
	maxProbes     int
	callTimeout   time.Duration
	slowCall      time.Duration
	onUnavailable OnUnavailable
	level         *Level
	config        *breakerpb.BreakerConfig
	effective     *breakerpb.EffectiveValues
	// passes: calls are allowed without another look.
	passes bool
	tally  *tally
}

// absent is the view of a breaker that the copy does not hold: with what a breaker begins with.
func absent(covered bool, tally *tally) *view {
	return &view{
		covered: covered, state: Closed, mode: Normal, retryAt: never, overrideEndsAt: never, admitPercent: -1,
		maxProbes: defaultSuccessThreshold, callTimeout: defaultCallTimeout, passes: covered, tally: tally,
	}
}

// newView reads a state that came at this moment, with the server's time of the message: times of the
// server become durations at once.
func newView(state *breakerpb.BreakerState, serverTime *timestamppb.Timestamp, now int64, tally *tally) *view {
	v := &view{
		exists: true, covered: true,
		state: stateOf(state.GetState()), mode: modeOf(state.GetMode()),
		generation: state.GetGeneration(), revision: state.GetRevision(),
		retryAt:        momentOf(state.GetRetryTime(), serverTime, now),
		overrideEndsAt: momentOf(state.GetOverrideExpireTime(), serverTime, now),
		admitPercent:   -1,
		maxProbes:      max(int(state.GetEffective().GetMaxProbes()), 1),
		callTimeout:    orDuration(state.GetConfig().GetCallTimeout(), defaultCallTimeout),
		slowCall:       slowCallOf(state.GetConfig()),
		onUnavailable:  OnUnavailable(state.GetConfig().GetOnUnavailable()),
		level:          levelOf(state.GetLevel()),
		config:         state.GetConfig(), effective: state.GetEffective(),
		tally: tally,
	}
	if state.AdmitPercent != nil {
		v.admitPercent = int32(state.GetAdmitPercent())
	}
	switch v.mode {
	case ForcedClosed, Disabled:
		v.passes = true
	case Normal, Shadow:
		v.passes = v.state == Closed
	}
	return v
}

func momentOf(at, serverTime *timestamppb.Timestamp, now int64) int64 {
	if at == nil || serverTime == nil {
		return never
	}
	return now + int64(at.AsTime().Sub(serverTime.AsTime()))
}

// isLike says whether a listener has nothing to hear of the way from one view to the other.
func (v *view) isLike(other *view) bool {
	return v.state == other.state && v.mode == other.mode && levelNumber(v.level) == levelNumber(other.level)
}

func levelNumber(level *Level) int {
	if level == nil {
		return -1
	}
	return level.Number
}

// retryAfter is how long calls are denied at least; 0 if that is not known.
func (v *view) retryAfter(now int64) time.Duration {
	switch {
	case v.mode == ForcedOpen && v.overrideEndsAt != never:
		return time.Duration(max(v.overrideEndsAt-now, 0))
	case (v.mode == Normal || v.mode == Shadow) && v.state == Open && v.retryAt != never:
		return time.Duration(max(v.retryAt-now, 0))
	}
	return 0
}
