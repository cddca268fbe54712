package breakerd

import "time"

const (
	// maxRunCalls and maxRunTotal are what the protocol takes in one run.
	maxRunCalls = 1_000_000
	maxRunTotal = 10_000 * 24 * time.Hour
	// maxRunSpan bounds a run from its first end to its last: its age is that of the last one, and a run
	// that went on through an outage would pass off history as fresh.
	maxRunSpan = time.Second
	// lateAfter is the age from which an outcome is history.
	lateAfter = 15 * time.Second
	// maxAge is the oldest that the protocol takes.
	maxAge = 24 * time.Hour
)

// A run is calls of one breaker and generation with the same outcome and kind.
type run struct {
	tally   *tally
	outcome Outcome
	kind    string
	// slow says how many of the calls were slow.
	slow           uint32
	count          uint32
	total, longest time.Duration
	// ended is when the last of the calls ended, and span how long before that the first one did.
	ended int64
	span  time.Duration
	// permit is that of a probe, 0 for other calls.
	permit uint64
}

// takes says whether another run can follow on this one and be the same run: same outcome, kind and
// slowness, no permit, and little time in between.
func (r *run) takes(next *run) bool {
	return r.outcome == next.outcome && r.kind == next.kind && (r.slow > 0) == (next.slow > 0) &&
		r.permit == 0 && next.permit == 0 && r.fits(next) && r.spanWith(next) <= maxRunSpan
}

// began is when the first of the calls ended.
func (r *run) began() int64 { return r.ended - int64(r.span) }

func (r *run) spanWith(other *run) time.Duration {
	return time.Duration(max(r.ended, other.ended) - min(r.began(), other.began()))
}

func (r *run) fits(next *run) bool {
	return r.count+next.count <= maxRunCalls && r.total+next.total <= maxRunTotal
}

// join takes in a run that follows on this one.
func (r *run) join(next *run) {
	r.add(next)
	r.span, r.ended = r.spanWith(next), max(r.ended, next.ended)
}

// absorb takes in a run of any time. It is as old as the oldest of both from then on.
func (r *run) absorb(other *run) {
	r.add(other)
	r.span, r.ended = 0, min(r.began(), other.began())
}

func (r *run) add(other *run) {
	r.count += other.count
	r.slow += other.slow
	r.total += other.total
	r.longest = max(r.longest, other.longest)
}

func (r *run) isLate(now int64) bool { return now-r.ended > int64(lateAfter) }

// close lets no more calls be added to the run.
func (r *run) close() {
	if r.tally.last == r {
		r.tally.last = nil
	}
}

// squeeze gathers runs that are alike but for their order, slowness and time, if they are selected. The
// gathered run stands where the last of them stood, and takes in no more calls.
func squeeze(runs []*run, selected func(*run) bool) []*run {
	type key struct {
		breaker    string
		generation uint64
		outcome    Outcome
		kind       string
	}
	gathered := make(map[key]*run)
	kept := len(runs)
	// From the last to the first, filling up from the end.
	for i := len(runs) - 1; i >= 0; i-- {
		r := runs[i]
		if r.permit == 0 && selected(r) {
			k := key{r.tally.breaker, r.tally.generation, r.outcome, r.kind}
			if into := gathered[k]; into != nil && into.fits(r) {
				into.absorb(r)
				into.close()
				r.close()
				continue
			}
			gathered[k] = r
		}
		kept--
		runs[kept] = r
	}
	rest := runs[kept:]
	clear(runs[:kept])
	return rest
}
