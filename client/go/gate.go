package breakerd

import "sync"

// noPermitTime is how long calls are denied without asking after the server had no permit, in
// nanoseconds.
const noPermitTime = 20_000_000

// A permitGate says which calls of a breaker may ask the server for a permit, so that a probing
// breaker, or a server that does not answer, is not stormed.
type permitGate struct {
	mu       sync.Mutex
	underWay int
	// noPermitUntil is when asking makes sense again.
	noPermitUntil int64
	// doubt: an Acquire was not answered, when so much had been heard of the server.
	doubt      bool
	doubtHeard uint64
}

// enter says whether a call may ask; it has to leave then.
func (g *permitGate) enter(now int64, most int, heard uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doubt && g.doubtHeard != heard {
		g.doubt = false
	}
	if g.doubt {
		most = 1
	}
	if now < g.noPermitUntil || g.underWay >= most {
		return false
	}
	g.underWay++
	return true
}

// asked is how asking for a permit ended.
type asked uint8

const (
	// askedAnswered: with an answer.
	askedAnswered asked = iota
	// askedNoPermit: with the answer that no permit is left.
	askedNoPermit
	// askedUnanswered: without an answer.
	askedUnanswered
	// askedGivenUp: the caller did not wait for it.
	askedGivenUp
)

// leave ends what enter began; heard includes the answer.
func (g *permitGate) leave(how asked, now int64, heard uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay--
	switch how {
	case askedNoPermit:
		g.noPermitUntil = now + noPermitTime
		g.doubt = false
	case askedAnswered:
		g.doubt = false
	case askedUnanswered:
		g.doubt, g.doubtHeard = true, heard
	}
}
