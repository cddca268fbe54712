package breakerd

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// decision is what the copy says about a call.
type decision uint8

const (
	// decideAllow: the call may be made.
	decideAllow decision = iota
	// decideDeny: it must not be made.
	decideDeny
	// decideAsk: the server has to be asked for a permit.
	decideAsk
)

// decide decides a call from the copy; credit is asked where a share of the calls is allowed.
func (v *view) decide(now int64, credit *rampCredit) (decision, Reason) {
	if v.passes {
		return decideAllow, ""
	}
	if v.mode == ForcedOpen {
		return decideDeny, ReasonForcedOpen
	}
	switch {
	case v.state == Closed:
		return decideAllow, ""
	case v.state == Open && now < v.retryAt && v.mode == Shadow:
		return decideAllow, ""
	case v.state == Open && now < v.retryAt:
		return decideDeny, ReasonOpen
	case v.state == HalfOpen && v.admitPercent >= 0:
		if v.mode == Shadow || credit.admits(v.admitPercent) {
			return decideAllow, ""
		}
		return decideDeny, ReasonRamp
	}
	return decideAsk, ""
}

// DeniedError is the error of a call that a breaker denied. Find it with [errors.As].
type DeniedError struct {
	// Breaker is the breaker's name.
	Breaker string
	// Reason says why.
	Reason Reason
	// RetryAfter is when asking again can have another answer; 0 if that is not known.
	RetryAfter time.Duration
	// State and Mode are the breaker's, and 0 for one that the copy does not hold; for [ReasonLocalOpen]
	// State is that of the local breaker.
	State State
	Mode  Mode
	// Level is the level of a breaker that has levels; nil for others.
	Level *Level
}

// Error says who denied the call, and why.
func (e *DeniedError) Error() string {
	text := "breakerd: " + e.Breaker + " denied the call: " + string(e.Reason)
	if e.RetryAfter > 0 {
		text += ", retry after " + e.RetryAfter.Round(time.Millisecond).String()
	}
	return text
}

// Serve is the word for what to serve instead, such as degraded; empty for a breaker without levels.
func (e *DeniedError) Serve() string {
	if e.Level == nil {
		return ""
	}
	return e.Level.Serve
}

// denied is the error for a call that this view denies.
func (b *Breaker) denied(v *view, reason Reason, retryAfter time.Duration) *DeniedError {
	denied := &DeniedError{Breaker: b.name, Reason: reason, RetryAfter: retryAfter}
	if v.exists {
		denied.State, denied.Mode, denied.Level = v.state, v.mode, v.level
	}
	return denied
}

// GRPCStatus is what the error is on the wire, for servers that pass it on: UNAVAILABLE, with a
// RetryInfo where it is known when asking again can have another answer.
func (e *DeniedError) GRPCStatus() *status.Status {
	of := status.New(codes.Unavailable, e.Error())
	if e.RetryAfter <= 0 {
		return of
	}
	with, err := of.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	if err != nil {
		return of
	}
	return with
}
