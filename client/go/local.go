package breakerd

import (
	"sync"
	"time"
)

// A localBreaker is a breaker of this process: it stands in while no server can be asked where that is
// left to [Local], and
// beside the fleet's breaker with [WithLocalGuard].
type localBreaker struct {
	mu     sync.Mutex
	config *localConfig
	state  State
	// generation grows with each change of state; an outcome of an older one counts for nothing.
	generation            uint64
	retryAt               int64
	failures, consecutive uint32
	window                *window
	reopens               int
	// out are the probes that are under way.
	out               []localProbe
	succeeded, failed uint32
	nextProbe         uint64
}

type localProbe struct {
	id       uint64
	deadline int64
}

// localTicket is the leave that a local breaker gave to a call; the zero value is none.
type localTicket struct {
	breaker    *localBreaker
	generation uint64
	// probe is 0 for a call that is none.
	probe uint64
}

// localDenial says why a local breaker denied a call.
type localDenial struct {
	state      State
	retryAfter time.Duration
}

// newLocalBreaker begins CLOSED, or HALF_OPEN to probe first.
func newLocalBreaker(config *localConfig, begin State) *localBreaker {
	l := &localBreaker{config: config, state: begin, generation: 1, nextProbe: 1}
	l.resetWindow()
	return l
}

func (l *localBreaker) resetWindow() {
	l.window = nil
	if l.config.hasWindow() {
		l.window = newWindow(l.config.windowCalls, l.config.windowDuration)
	}
}

// reconfigure takes over another configuration; the counts stay, the window begins anew if it is
// another one.
func (l *localBreaker) reconfigure(config *localConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.config
	l.config = config
	if old.windowCalls != config.windowCalls || old.windowDuration != config.windowDuration ||
		config.hasWindow() != (l.window != nil) {
		l.resetWindow()
	}
}

// ask asks for leave; the second answer is not nil if it is denied.
func (l *localBreaker) ask(now int64) (localTicket, *localDenial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == Open && now >= l.retryAt {
		l.enter(HalfOpen)
	}
	l.expire(now)
	switch l.state {
	case Open:
		return localTicket{}, &localDenial{Open, time.Duration(l.retryAt - now)}
	case HalfOpen:
		if !l.hasRoom() {
			return localTicket{}, &localDenial{state: HalfOpen}
		}
		probe := localProbe{l.nextProbe, now + int64(l.config.callTimeout)}
		l.nextProbe++
		l.out = append(l.out, probe)
		return localTicket{l, l.generation, probe.id}, nil
	}
	return localTicket{breaker: l, generation: l.generation}, nil
}

func (l *localBreaker) hasRoom() bool {
	out := uint32(len(l.out))
	if l.config.probeCalls > 0 && out > 0 && out+l.succeeded+l.failed >= l.config.probeCalls {
		return false
	}
	return len(l.out) < l.config.maxProbes
}

// expire takes back the probes whose call did not come back in time.
func (l *localBreaker) expire(now int64) {
	for l.state == HalfOpen && len(l.out) > 0 && l.out[0].deadline < now {
		l.out = l.out[1:]
		if !l.config.expiredIsIgnored {
			l.judgeProbe(true, now)
		}
	}
}

// record takes the outcome of a call that had this ticket.
func (t localTicket) record(outcome Outcome, kind string, lasted time.Duration, now int64) {
	l := t.breaker
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	if t.generation != l.generation {
		return
	}
	if t.probe != 0 && !l.takeBack(t.probe) {
		return
	}
	isFailure := outcome == Failure || outcome == Timeout
	if outcome == Ignored || isFailure && l.config.pardons(kind) {
		return
	}
	if lasted > l.config.callTimeout {
		isFailure = true
	}
	if l.state == HalfOpen {
		l.judgeProbe(isFailure, now)
	} else {
		l.count(isFailure, lasted, now)
	}
}

func (l *localBreaker) takeBack(id uint64) bool {
	for i, probe := range l.out {
		if probe.id == id {
			l.out = append(l.out[:i], l.out[i+1:]...)
			return true
		}
	}
	return false
}

// count counts a call of a CLOSED breaker, and opens it if a condition is met. The counts can be met
// by a failure only.
func (l *localBreaker) count(isFailure bool, lasted time.Duration, now int64) {
	c := l.config
	if isFailure {
		l.failures++
		l.consecutive++
	} else {
		l.failures -= min(l.failures, c.failureDecay)
		l.consecutive = 0
	}
	trips := isFailure && (c.failureThreshold > 0 && l.failures >= c.failureThreshold ||
		c.consecutiveFailures > 0 && l.consecutive >= c.consecutiveFailures)
	if l.window != nil {
		call := sums{calls: 1}
		if isFailure {
			call.failures = 1
		}
		if c.slowCall > 0 && lasted > c.slowCall {
			call.slow = 1
		}
		l.window.push(call, now)
		trips = trips || c.failureRate.isMet(l.window.calls, l.window.failures) ||
			c.slowCallRate.isMet(l.window.calls, l.window.slow)
	}
	if trips {
		l.open(now)
	}
}

// judgeProbe counts a probe, and leaves HALF_OPEN if that is the verdict.
func (l *localBreaker) judgeProbe(isFailure bool, now int64) {
	if isFailure {
		l.failed++
	} else {
		l.succeeded++
	}
	together := l.succeeded + l.failed
	switch c := l.config; {
	case c.probeCalls > 0 && together < c.probeCalls:
	case c.probeCalls > 0 && uint64(l.failed)*100 >= uint64(c.probeFailurePercent)*uint64(together):
		l.open(now)
	case c.probeCalls > 0:
		l.enter(Closed)
	case isFailure:
		l.open(now)
	case l.succeeded >= uint32(c.successThreshold):
		l.enter(Closed)
	}
}

func (l *localBreaker) open(now int64) {
	if l.state == Closed {
		l.reopens = 0
	} else {
		l.reopens++
	}
	l.enter(Open)
	l.retryAt = now + int64(l.config.openFor(l.reopens, chance()))
}

func (l *localBreaker) enter(state State) {
	l.state = state
	l.generation++
	l.out, l.succeeded, l.failed = nil, 0, 0
	if state == Closed {
		l.failures, l.consecutive, l.reopens = 0, 0, 0
		l.resetWindow()
	}
}
