package breakerd

import "time"

// windowBuckets is how many buckets a window over time has.
const windowBuckets = 100

// sums are over the calls of a window.
type sums struct{ calls, failures, slow uint32 }

func (s *sums) add(other sums) {
	s.calls += other.calls
	s.failures += other.failures
	s.slow += other.slow
}

func (s *sums) subtract(other sums) {
	s.calls -= other.calls
	s.failures -= other.failures
	s.slow -= other.slow
}

// A window holds the last calls, or those of the last while, and their sums. A window over time is a
// row of buckets, of which the oldest leaves as a whole.
type window struct {
	sums
	// ring holds the last calls; nil for a window over time.
	ring []sums
	// next is where the next call goes in the ring.
	next int
	// buckets are of width nanoseconds each, in rising order; those without calls are left out.
	buckets []windowBucket
	width   int64
}

type windowBucket struct {
	sums
	// index is the time divided by the width.
	index int64
}

func newWindow(calls int, duration time.Duration) *window {
	if duration > 0 {
		return &window{width: max(int64(duration)/windowBuckets, 1)}
	}
	return &window{ring: make([]sums, 0, calls)}
}

// push adds a call.
func (w *window) push(call sums, now int64) {
	switch {
	case w.width > 0:
		w.advance(now)
		index := now / w.width
		if last := len(w.buckets) - 1; last < 0 || w.buckets[last].index < index {
			w.buckets = append(w.buckets, windowBucket{index: index})
		}
		w.buckets[len(w.buckets)-1].add(call)
	case len(w.ring) < cap(w.ring):
		w.ring = append(w.ring, call)
	default:
		w.subtract(w.ring[w.next])
		w.ring[w.next] = call
		w.next = (w.next + 1) % len(w.ring)
	}
	w.add(call)
}

// advance lets leave what is too old.
func (w *window) advance(now int64) {
	for len(w.buckets) > 0 && (w.buckets[0].index+windowBuckets)*w.width <= now {
		w.subtract(w.buckets[0].sums)
		w.buckets = w.buckets[1:]
	}
}
