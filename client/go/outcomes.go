package breakerd

import (
	"sync"
	"sync/atomic"
)

// maxWaiting is how many runs wait for their report at most.
const maxWaiting = 10_000

// squeezeEvery is after how many more runs a full queue is squeezed again, if squeezing did not make
// room for as many: in between the oldest make room, so that not each outcome costs a walk through all.
const squeezeEvery = 100

// outcomes are those of calls that have ended and wait to be reported.
type outcomes struct {
	mu       sync.Mutex
	enrolled []*tally
	// waiting runs, in the order in which they were begun.
	waiting []*run
	// squeezeIn is how many runs that come to a full queue do not squeeze it.
	squeezeIn int
	// firstAt and promptAt are when the first of those that wait ended, and the first prompt one;
	// never if there is none.
	firstAt, promptAt int64
	// inFlight are those calls of a report that is under way.
	inFlight uint64
	closed   bool

	givenUp atomic.Uint64
	// wake has a word when something has to be looked at sooner than was known.
	wake chan struct{}
}

func newOutcomes() *outcomes {
	return &outcomes{firstAt: never, promptAt: never, wake: make(chan struct{}, 1)}
}

func (o *outcomes) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// success takes a success of less than quickCall, of a breaker that exists: the way of nearly every
// call, which takes the lock once a report, or once a second where reports do not get through.
func (o *outcomes) success(t *tally, lasted, ended int64) {
	if t.isOver(ended) {
		o.enroll(t, tallyGather, ended)
	}
	if need := t.add(lasted, ended); need != tallyNothing {
		o.enroll(t, need, ended)
	}
}

func (o *outcomes) enroll(t *tally, need tallyNeed, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if need == tallyGather {
		o.gather(t, now)
	}
	if !t.enrolled {
		t.enrolled = true
		o.enrolled = append(o.enrolled, t)
	}
	o.begin(now, false)
}

// push takes any outcome. It comes after the successes of its tally that ended before it.
func (o *outcomes) push(r *run, prompt bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.gather(r.tally, r.ended)
	o.add(r, r.ended)
	o.begin(r.ended, prompt)
}

// announce takes an outcome of a breaker that does not exist yet; the first one is prompt.
func (o *outcomes) announce(r *run) {
	o.mu.Lock()
	first := !r.tally.announced
	r.tally.announced = true
	o.mu.Unlock()
	o.push(r, first || isPrompt(r))
}

// forget lets the next outcome of a breaker that is gone be its first one again.
func (o *outcomes) forget(t *tally) {
	o.mu.Lock()
	t.announced = false
	o.mu.Unlock()
}

func isPrompt(r *run) bool { return r.permit != 0 || r.outcome == Failure || r.outcome == Timeout }

// begin notes that something waits since now, and wakes the reporter if that is news.
func (o *outcomes) begin(now int64, prompt bool) {
	isNews := false
	if o.firstAt == never {
		o.firstAt, isNews = now, true
	}
	if prompt && o.promptAt == never {
		o.promptAt, isNews = now, true
	}
	if isNews {
		o.notify()
	}
}

func (o *outcomes) gather(t *tally, now int64) {
	if r := t.gather(); r != nil {
		o.add(r, now)
	}
}

func (o *outcomes) add(r *run, now int64) {
	if last := r.tally.last; last != nil && last.takes(r) {
		last.join(r)
		return
	}
	o.waiting = append(o.waiting, r)
	r.tally.last = r
	if len(o.waiting) > maxWaiting {
		o.makeRoom(now)
	}
}

// makeRoom gathers history, then everything, and gives up the oldest if that is not enough.
func (o *outcomes) makeRoom(now int64) {
	if o.squeezeIn > 0 {
		o.squeezeIn--
	} else {
		o.waiting = squeeze(o.waiting, func(r *run) bool { return r.isLate(now) })
		if len(o.waiting) > maxWaiting {
			o.waiting = squeeze(o.waiting, func(*run) bool { return true })
		}
		if len(o.waiting) > maxWaiting-squeezeEvery {
			o.squeezeIn = squeezeEvery
		}
	}
	for len(o.waiting) > maxWaiting {
		oldest := o.waiting[0]
		o.waiting[0] = nil
		o.waiting = o.waiting[1:]
		oldest.close()
		o.givenUp.Add(uint64(oldest.count))
	}
}

// take takes all that waits; what is taken is in flight until it is settled.
func (o *outcomes) take(now int64) []*run {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.enrolled {
		t.enrolled = false
		o.gather(t, now)
	}
	clear(o.enrolled)
	o.enrolled = o.enrolled[:0]
	taken := o.waiting
	for _, r := range taken {
		r.tally.last = nil
		o.inFlight += uint64(r.count)
	}
	o.waiting, o.squeezeIn = nil, 0
	o.firstAt, o.promptAt = never, never
	return taken
}

// settle ends the flight of runs that were reported, or given up.
func (o *outcomes) settle(runs []*run, givenUp bool) {
	calls := countCalls(runs)
	o.mu.Lock()
	o.inFlight -= calls
	o.mu.Unlock()
	if givenUp {
		o.givenUp.Add(calls)
	}
}

// since is when the first outcome that waits ended, and when the first prompt one; never if none.
func (o *outcomes) since() (first, prompt int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.firstAt, o.promptAt
}

// count is how many calls wait, and how many are in flight.
func (o *outcomes) count() (waiting, inFlight uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting = countCalls(o.waiting)
	for _, t := range o.enrolled {
		waiting += t.sum.Load() & tallyCountMask
	}
	return waiting, o.inFlight
}

// close takes no outcomes any more.
func (o *outcomes) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

func countCalls(runs []*run) uint64 {
	var calls uint64
	for _, r := range runs {
		calls += uint64(r.count)
	}
	return calls
}
