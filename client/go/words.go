package breakerd

import (
	"fmt"

	"breakerd.dev/client/go/breakerpb"
)

// State is the state of a breaker.
type State uint8

// The states of a breaker.
const (
	// Unknown is the state of a breaker that the copy does not hold.
	Unknown State = iota
	// Closed lets calls flow.
	Closed
	// Open refuses calls.
	Open
	// HalfOpen lets a few calls find out whether calls can flow again.
	HalfOpen
)

// String is the word that breakerd's tools use: closed, open, half_open, unknown.
func (s State) String() string { return word(int(s), "unknown", "closed", "open", "half_open") }

// Mode is what an operator made of a breaker.
type Mode uint8

// The modes of a breaker.
const (
	// Normal leaves the breaker to its automatic life.
	Normal Mode = iota + 1
	// ForcedOpen denies every call.
	ForcedOpen
	// ForcedClosed allows every call.
	ForcedClosed
	// Disabled allows every call and records only metrics.
	Disabled
	// Shadow lets transitions happen, and denies no call.
	Shadow
)

// String is the word that breakerd's tools use: normal, forced_open, forced_closed, disabled, shadow.
func (m Mode) String() string {
	return word(int(m), "unknown", "normal", "forced_open", "forced_closed", "disabled", "shadow")
}

// Outcome is what became of a call.
type Outcome uint8

// The outcomes of a call.
const (
	// Success is a call that did what it was meant to do.
	Success Outcome = iota + 1
	// Failure is a call that failed.
	Failure
	// Timeout is a call that took too long.
	Timeout
	// Ignored is a call that counts for nothing: its caller cancelled it, or made a mistake.
	Ignored
)

// String is the outcome in lower case.
func (o Outcome) String() string {
	return word(int(o), "unknown", "success", "failure", "timeout", "ignored")
}

// OnUnavailable is what a client does while no server can be asked.
type OnUnavailable uint8

// What a client can do while no server can be asked.
const (
	// Allow allows every call.
	Allow OnUnavailable = iota + 1
	// Deny denies every call, with [ReasonUnavailable].
	Deny
	// Local decides with a breaker of this process that has the configuration that was last known.
	Local
)

// String is the word that breakerd's tools use: allow, deny, local.
func (o OnUnavailable) String() string { return word(int(o), "unknown", "allow", "deny", "local") }

// ClientState says how a client decides.
type ClientState uint8

// The states of a client.
const (
	// ClientReady decides from a copy that is kept equal to the server's.
	ClientReady ClientState = iota + 1
	// ClientStale decides from the copy as it was: the stream was cut or is silent. A closed breaker is left
	// to the local one where [OnUnavailable] is [Local].
	ClientStale
	// ClientFallback decides by [OnUnavailable]: the stream was away for too long, or there never was one.
	ClientFallback
)

// String is the state in lower case.
func (s ClientState) String() string { return word(int(s), "unknown", "ready", "stale", "fallback") }

// Reason says why a call was denied.
type Reason string

// Why calls are denied.
const (
	// ReasonOpen: the breaker is open.
	ReasonOpen Reason = "open"
	// ReasonNoPermit: the breaker is half open, and its probes are under way.
	ReasonNoPermit Reason = "no_permit"
	// ReasonRamp: the breaker is on its ramp, and the call is not of the share that flows.
	ReasonRamp Reason = "ramp"
	// ReasonForcedOpen: an operator forced the breaker open.
	ReasonForcedOpen Reason = "forced_open"
	// ReasonUnavailable: no server can be asked, and the breaker says [Deny] for that.
	ReasonUnavailable Reason = "unavailable"
	// ReasonLocalOpen: a breaker of this process denies the call, see [WithLocalGuard] and [Local].
	ReasonLocalOpen Reason = "local_open"
)

// Level is the level of a breaker that has levels of severity.
type Level struct {
	// Name is its name.
	Name string
	// Number counts from 0, where a breaker lives.
	Number int
	// Serve is the word for what to serve while calls are denied, such as degraded.
	Serve string
}

func word(value int, words ...string) string {
	if value < len(words) {
		return words[value]
	}
	return fmt.Sprintf("%d", value)
}

// The wire counts as this package does, from 1, and 0 is nothing.
func stateOf(state breakerpb.State) State { return State(state) }
func modeOf(mode breakerpb.Mode) Mode     { return Mode(mode) }

func levelOf(level *breakerpb.CurrentLevel) *Level {
	if level == nil {
		return nil
	}
	return &Level{Name: level.GetName(), Number: int(level.GetNumber()), Serve: level.GetServe()}
}
