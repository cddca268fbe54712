package breakerd

import (
	"sync/atomic"
	"time"
)

// A tally gathers the quick successes of one breaker and generation without a lock and without an
// allocation: one atomic addition holds how many there were, and how long they took together.
//
// The count stands in the lower bits of sum, the nanoseconds above. Whoever adds and sees one of the
// two half full has the tally gathered before it goes on, and calls that took quickCall or longer go
// another way, so that it would take tens of thousands of calls ending in the same microsecond to
// overflow.
type tally struct {
	breaker    string
	generation uint64

	sum     atomic.Uint64
	longest atomic.Int64
	// began and ended are when the first and the last call ended.
	began, ended atomic.Int64

	// The rest belongs to the lock of the outcomes.

	// last is the run that the next outcome may be added to; nil if there is none that waits.
	last *run
	// enrolled says that the tally is among those to be gathered.
	enrolled bool
	// announced says that an outcome was reported which creates the breaker at the server.
	announced bool
}

const (
	tallyCountBits = 20
	tallyCountMask = 1<<tallyCountBits - 1
	tallyFullCount = 1 << (tallyCountBits - 1)
	tallyFullNanos = 1 << (64 - tallyCountBits - 1)
	// quickCall bounds what one call adds, in nanoseconds.
	quickCall = 1 << 28
)

// what an addition asks for.
type tallyNeed uint8

const (
	tallyNothing tallyNeed = iota
	// tallyEnroll: the tally was empty, and somebody has to come and gather it.
	tallyEnroll
	// tallyGather: it is half full, and has to be gathered now.
	tallyGather
)

// add counts a success of less than quickCall.
func (t *tally) add(lasted, ended int64) tallyNeed {
	for longest := t.longest.Load(); lasted > longest; longest = t.longest.Load() {
		if t.longest.CompareAndSwap(longest, lasted) {
			break
		}
	}
	t.ended.Store(ended)
	sum := t.sum.Add(uint64(lasted)<<tallyCountBits | 1)
	count, nanos := sum&tallyCountMask, sum>>tallyCountBits
	switch {
	case count == 1:
		// Whoever looks before this sees the first call of an earlier time, and at worst gathers early.
		t.began.Store(ended)
		return tallyEnroll
	case count >= tallyFullCount || nanos >= tallyFullNanos:
		return tallyGather
	}
	return tallyNothing
}

// isOver says whether a call that ends now is too late for the run that the tally is becoming.
func (t *tally) isOver(now int64) bool {
	return now-t.began.Load() > int64(maxRunSpan) && t.sum.Load() != 0
}

// gather empties the tally into a run; nil if it is empty.
func (t *tally) gather() *run {
	// Read first, so that it is not of a call that comes after these.
	began := t.began.Load()
	sum := t.sum.Swap(0)
	count := uint32(sum & tallyCountMask)
	if count == 0 {
		return nil
	}
	total := time.Duration(sum >> tallyCountBits)
	// The longest call may have been counted a moment before or after the sum was taken: what cannot
	// be is made what can.
	longest := min(max(time.Duration(t.longest.Swap(0)), total/time.Duration(count)), total)
	ended := t.ended.Load()
	return &run{
		tally: t, outcome: Success, count: count, total: total, longest: longest,
		ended: ended, span: min(max(time.Duration(ended-began), 0), maxRunSpan),
	}
}
