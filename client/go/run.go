package breakerd

import "time"

const (
	// maxRunCalls and maxRunTotal are what the protocol takes in one run.
	maxRunCalls = 1_000_000
	maxRunTotal = 10_000 * 24 * time.Hour
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
	// ended is when the last of the calls ended.
	ended int64
	// permit is that of a probe, 0 for other calls.
	permit uint64
}

// takes says whether another run can follow on this one and be the same run: same outcome, kind and
// slowness, and no permit.
func (r *run) takes(next *run) bool {
	return r.outcome == next.outcome && r.kind == next.kind && (r.slow > 0) == (next.slow > 0) &&
		r.permit == 0 && next.permit == 0 && r.fits(next)
}

func (r *run) fits(next *run) bool {
	return r.count+next.count <= maxRunCalls && r.total+next.total <= maxRunTotal
}

func (r *run) join(next *run) {
	r.count += next.count
	r.slow += next.slow
	r.total += next.total
	r.longest = max(r.longest, next.longest)
	r.ended = max(r.ended, next.ended)
}

func (r *run) isLate(now int64) bool { return now-r.ended > int64(lateAfter) }

// squeeze gathers runs that are alike but for their order and slowness, if they are selected. The
// gathered run stands where the last of them stood.
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
				into.join(r)
				if r.tally.last == r {
					r.tally.last = nil
				}
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
